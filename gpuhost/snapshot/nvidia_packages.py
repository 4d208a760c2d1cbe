"""The installed packages of the NVIDIA driver, and the kernels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.domain.nvidia.held_packages import HELD
from gpuhost.domain.nvidia.version import DriverVersion
from gpuhost.snapshot.packages import QUERY
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# Every driver has one of these, whatever its branch and source.
DRIVER_PACKAGES = (
    "libnvidia-ml1",
    "libnvidia-compute",
    "libcuda1",
    "nvidia-utils",
    "nvidia-smi",
    "nvidia-driver-cuda",
)
# Those that bring or build its kernel modules; the others with such names are of storage and RDMA.
MODULE_PACKAGES = re.compile(
    r"nvidia-dkms.*|nvidia-.*kernel.*-dkms|nvidia-(?:open-)?kernel-\d.*"
    r"|linux-(?:modules|objects)-nvidia-(?!fs-).*"
)
# The driver's packages, the kernels that it is built for, and dkms, which builds its modules.
PACKAGES = (
    "*nvidia*",
    *(pattern for pattern in HELD if "nvidia" not in pattern),
    "dkms",
    "linux-image-*",
    "linux-headers-*",
)
# Installed, half configured (a build failed), unpacked, waiting for triggers: files are there.
UNPACKED = "iFUWt"
REQUEST = Request(
    probes=(
        ProbeCommand(
            "nvidia_packages",
            f"{QUERY} {' '.join(map(quote, PACKAGES))}",
            absent=Probe(1),
            at_once=True,
        ),
    )
)


@dataclass(frozen=True)
class Package:
    """An installed package. hold: dpkg does not change its version."""

    name: str
    version: str
    hold: bool

    @property
    def driver(self) -> DriverVersion | None:
        """The driver's version, which is part of the package's: 1:535.183.01-1~deb12u1."""
        upstream = self.version.rpartition(":")[2].partition("-")[0].partition("~")[0]
        try:
            return DriverVersion.parse(upstream)
        except ValueError:
            return None


def read_packages(probes: Probes, states: str = "i") -> Mapping[str, Package]:
    """The installed packages, by name; in other states of dpkg with `states`. Raises NotRead."""
    probe = probes.get("nvidia_packages")
    if probe.rc is None:
        raise NotRead("dpkg-query timed out")
    packages = {}
    for line in probe.out.splitlines():
        status, *rest = line.split("\t")
        if len(rest) == 3 and status[1:2] and status[1:2] in states:
            packages[rest[0]] = Package(rest[0], rest[1], status[:1] == "h")
    return packages


def driver_versions(packages: Mapping[str, Package]) -> tuple[DriverVersion, ...]:
    """The versions of the driver packages; none if the driver does not come from packages."""
    return tuple(package.driver for package in library_packages(packages) if package.driver)


def library_packages(packages: Mapping[str, Package]) -> tuple[Package, ...]:
    """The driver packages beside its kernel modules, those with a version of a driver."""
    named = (one for one in packages.values() if one.name.startswith(DRIVER_PACKAGES))
    return tuple(package for package in named if package.driver)


def module_packages(packages: Mapping[str, Package]) -> tuple[str, ...]:
    """The packages of the driver's kernel modules, ready-made or built here."""
    return tuple(name for name in packages if MODULE_PACKAGES.fullmatch(name))
