"""The driver requirement that CUDA images carry, and whether a host meets it.

The prestart hook checks it; the paths by CDI do not (NVIDIA Container Toolkit issue 1470).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

from gpuhost.nvidia.cards import Brand
from gpuhost.nvidia.toolkits import driver_cuda
from gpuhost.nvidia.version import CudaVersion, DriverVersion

CONDITION = re.compile(r"(cuda|driver|arch|brand)\s*(>=|<=|!=|==|=|>|<)\s*([\w.]+)", re.ASCII)
REQUIRE = "NVIDIA_REQUIRE_"
DISABLE = "NVIDIA_DISABLE_REQUIRE"
# strconv.ParseBool, which the hook uses.
TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class Gate(Enum):
    """What the hook would do with a container."""

    PASSES = "passes"
    REFUSES = "refuses"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class GateResult:
    """The answer and the sentence that explains it."""

    gate: Gate
    reason: str


@dataclass(frozen=True)
class PublishedGate:
    """The requirement of NVIDIA's nvidia/cuda images of one CUDA version.

    + branches: older driver branches that are let in, for the brands that are named
    """

    branches: tuple[int, ...]
    brands: tuple[str, ...]

    def requirement(self, cuda: CudaVersion) -> str:
        """As it stands in NVIDIA_REQUIRE_CUDA."""
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
    """Evaluate one NVIDIA_REQUIRE_* variable: spaces are OR, commas are AND.

    + require: such as "cuda>=12.1 brand=tesla,driver>=470,driver<471"
    + driver: the host's driver
    + brand: the card's brand
    + compute_capability: the card's, for conditions on `arch`

    An empty requirement passes; a condition that is not understood makes it unreadable, unless
    another alternative passes.
    """
    cuda = driver_cuda(driver)
    facts = {
        "driver": str(driver),
        "cuda": str(cuda) if cuda else "0",
        "brand": brand.value if isinstance(brand, Brand) else brand,
        "arch": compute_capability,
    }
    alternatives = re.sub(r"\s*,\s*", ",", require).split()
    unreadable = ""
    for alternative in alternatives:
        verdicts = [_holds(condition, facts) for condition in alternative.split(",") if condition]
        if all(verdicts):
            return GateResult(Gate.PASSES, f"the host meets {alternative}")
        if None in verdicts and False not in verdicts:
            unreadable = alternative
    if not alternatives:
        return GateResult(Gate.PASSES, "the image requires nothing")
    if unreadable:
        return GateResult(Gate.UNREADABLE, f"cannot evaluate the image's condition {unreadable}")
    host = f"driver {driver} (CUDA {facts['cuda']}, brand {facts['brand']})"
    return GateResult(Gate.REFUSES, f"{host} meets none of: {' '.join(alternatives)}")


def image_gates(
    environment: Iterable[str],
    driver: DriverVersion,
    brand: Brand | str,
    *,
    compute_capability: str | None = None,
) -> GateResult:
    """Evaluate an image's whole environment: all its NVIDIA_REQUIRE_* variables must pass.

    + environment: "NAME=value" strings, as in `docker image inspect -f '{{json .Config.Env}}'`
    """
    variables = dict(entry.partition("=")[::2] for entry in environment)
    if variables.get(DISABLE) in TRUE_WORDS:
        return GateResult(Gate.PASSES, f"{DISABLE} is set: nothing is checked")
    results = [
        image_gate(value, driver, brand, compute_capability=compute_capability)
        for name, value in variables.items()
        if name.startswith(REQUIRE)
    ]
    for gate in (Gate.REFUSES, Gate.UNREADABLE):
        if found := next((result for result in results if result.gate is gate), None):
            return found
    return results[0] if results else GateResult(Gate.PASSES, "the image requires nothing")


def _holds(condition: str, facts: dict[str, str | None]) -> bool | None:
    """Whether a condition holds; None when it, or the fact that it asks for, is not known."""
    match = CONDITION.fullmatch(condition.strip())
    value = facts.get(match[1]) if match else None
    if match is None or value is None:
        return None
    name, operator, wanted = match.groups()
    if name == "brand":
        return {"=": value == wanted, "==": value == wanted, "!=": value != wanted}.get(operator)
    numbers, wanted_numbers = _numbers(value), _numbers(wanted)
    if numbers is None or wanted_numbers is None:
        return None
    return _compare(operator, numbers, wanted_numbers)


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _compare(operator: str, left: Sequence[int], right: Sequence[int]) -> bool:
    pairs = list(zip_longest(left, right, fillvalue=0))
    ours, theirs = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return {
        "=": ours == theirs,
        "==": ours == theirs,
        "!=": ours != theirs,
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        "<": ours < theirs,
    }[operator]
