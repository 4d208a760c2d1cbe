"""NVIDIA's driver repository: stand-ins that a simulated card obeys from the next boot on.

/usr/share/nvidia/modules says what a boot would load: flavour, driver, CUDA (init.sh reads it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab import cards
from tests.lab.packages.deb import Content, Package
from tests.lab.packages.scripts import maintainer_scripts

FILES = Path(__file__).with_name("nvidia-files")
MODULES = "/usr/share/nvidia/modules"
# The name that NVIDIA gives the file of its key, by Debian's number.
KEY_FILES = {"12": "3bf863cc.pub", "13": "8793F200.pub"}


@dataclass(frozen=True)
class Driver:
    """One release of the driver.

    + cuda: the newest CUDA that it knows
    """

    version: str
    cuda: str

    @property
    def branch(self) -> str:
        return self.version.partition(".")[0]


DRIVERS = (
    Driver("580.95.05", "13.0"),
    Driver("580.105.08", "13.0"),
    Driver("590.48.01", "13.1"),
)


def packages() -> list[Package]:
    """Every package of every driver, and the pins of the branches."""
    pins = [_pin(branch) for branch in sorted({driver.branch for driver in DRIVERS})]
    return [package for driver in DRIVERS for package in _of(driver)] + pins


def _of(driver: Driver) -> list[Package]:
    revision = f"{driver.version}-1"
    same = f"(= {revision})"
    either = f"nvidia-kernel-open-dkms {same} | nvidia-kernel-dkms {same}"
    return [
        _modules("nvidia-kernel-dkms", "proprietary", "nvidia-kernel-open-dkms", driver),
        _modules("nvidia-kernel-open-dkms", "open", "nvidia-kernel-dkms", driver),
        Package("libcuda1", revision, files={cards.LIBRARY: Content(cards.library())}),
        Package("libnvidia-ml1", revision),
        Package(
            "nvidia-driver-cuda",
            revision,
            fields={
                "Depends": f"{either}, libcuda1 {same}, libnvidia-ml1 {same}, "
                f"nvidia-persistenced {same}"
            },
            files={"/usr/bin/nvidia-smi": Content(cards.program(), 0o755)},
        ),
        _meta("nvidia-driver", revision, f"nvidia-driver-cuda {same}"),
        _meta(
            "nvidia-open",
            revision,
            f"nvidia-driver-cuda {same}, nvidia-kernel-open-dkms {same}",
        ),
        _meta("cuda-drivers", revision, f"nvidia-driver-cuda {same}, nvidia-kernel-dkms {same}"),
        Package(
            "nvidia-persistenced",
            revision,
            files=_service("nvidia-persistenced", "nvidia-persistenced", driver),
            scripts=maintainer_scripts("nvidia-persistenced.service"),
        ),
        Package(
            "nvidia-fabricmanager",
            revision,
            files=_service("nvidia-fabricmanager", "nv-fabricmanager", driver),
            scripts=maintainer_scripts(),
        ),
    ]


def _modules(name: str, flavour: str, other: str, driver: Driver) -> Package:
    said = f"{flavour} {driver.version} {driver.cuda}\n"
    return Package(
        name,
        f"{driver.version}-1",
        fields={"Conflicts": other, "Replaces": other},
        files={MODULES: Content(said.encode())},
    )


def _meta(name: str, revision: str, depends: str) -> Package:
    return Package(name, revision, fields={"Depends": depends})


def _service(unit: str, program: str, driver: Driver) -> dict[str, Content]:
    text = (FILES / program).read_text().replace("@VERSION@", driver.version)
    return {
        f"/usr/bin/{program}": Content(text.encode(), 0o755),
        f"/lib/systemd/system/{unit}.service": Content(FILES / f"{unit}.service"),
    }


def _pin(branch: str) -> Package:
    pinned = "*nvidia* libcuda* cuda-drivers*"
    text = f"Package: {pinned}\nPin: version {branch}.*\nPin-Priority: 1000\n"
    return Package(
        f"nvidia-driver-pinning-{branch}",
        f"{branch}-1",
        "all",
        files={f"/etc/apt/preferences.d/nvidia-driver-pinning-{branch}": Content(text.encode())},
    )
