"""The driver requirement that CUDA images carry: the published ones, and a host's own facts.

The runner evaluates it, because the runner inspects the images.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.card_models import Brand
from gpuhost.domain.nvidia.toolkits import driver_cuda
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion
from gpuhost.runner.contract import Facts, Gate, GateResult, requirement_gate

__all__ = [
    "PUBLISHED_GATES",
    "Gate",
    "GateResult",
    "image_gate",
    "published_requirement",
]


@dataclass(frozen=True)
class PublishedGate:
    """The requirement of NVIDIA's nvidia/cuda images of one CUDA version.

    + branches: older driver branches that it accepts, for these brands
    """

    branches: tuple[int, ...]
    brands: tuple[str, ...]

    def requirement(self, cuda: CudaVersion) -> str:
        """The text of NVIDIA_REQUIRE_CUDA."""
        alternatives = [
            f"brand={brand},driver>={branch},driver<{branch + 1}"
            for branch in self.branches
            for brand in self.brands
        ]
        return " ".join([f"cuda>={cuda.release}", *alternatives])


_WITH_GEFORCE = (
    *("tesla", "unknown", "nvidia", "nvidiartx", "geforce", "geforcertx"),
    *("quadro", "quadrortx", "titan", "titanrtx"),
)
_WITHOUT_GEFORCE = ("unknown", "grid", "tesla", "nvidia", "quadro", "quadrortx", "nvidiartx")

# Environment of the images of gitlab.com/nvidia/container-images/cuda (2024-12) and of the
# published 12.8.1 and 13.0 images; 11.5 to 12.0 as rebuilt in 2023-11. Others were not seen.
PUBLISHED_GATES = {
    CudaVersion.parse(cuda): PublishedGate(branches, brands)
    for cudas, branches, brands in (
        ("11.4", (), _WITH_GEFORCE),
        ("11.5 11.6 11.7 11.8 12.0", (470,), _WITH_GEFORCE),
        ("12.1 12.2", (470, 525), _WITH_GEFORCE),
        ("12.3 12.4", (470, 525, 535), _WITH_GEFORCE),
        ("12.5 12.6", (470, 535, 550), _WITHOUT_GEFORCE),
        ("12.8", (470, 535, 550, 560, 565), _WITHOUT_GEFORCE),
        ("13.0", (535, 550, 565, 570, 575), _WITHOUT_GEFORCE),
    )
    for cuda in cudas.split()
}


def published_requirement(cuda: CudaVersion) -> str | None:
    """NVIDIA_REQUIRE_CUDA of the nvidia/cuda images of a version; None when it is not known."""
    gate = PUBLISHED_GATES.get(cuda.release)
    return gate.requirement(cuda) if gate else None


def image_gate(
    require: str,
    driver: DriverVersion,
    brand: Brand | str,
    *,
    compute_capability: str | None = None,
) -> GateResult:
    """Evaluate one NVIDIA_REQUIRE_* variable on a host.

    + require: such as "cuda>=12.1 brand=tesla,driver>=470,driver<471"
    + driver: the host's driver
    + brand: the card's brand
    + compute_capability: the card's, for conditions on `arch`
    """
    return requirement_gate(require, _facts(driver, brand, compute_capability))


def _facts(driver: DriverVersion, brand: Brand | str, compute_capability: str | None) -> Facts:
    cuda = driver_cuda(driver)
    return Facts(
        driver=str(driver),
        cuda=str(cuda) if cuda else "0",
        brand=brand.value if isinstance(brand, Brand) else brand,
        arch=compute_capability,
    )
