"""NVIDIA's apt repository of drivers: one for each distribution release, each with its key."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.apt.vendor_keys import CUDA_KEYS

BASE = "https://developer.download.nvidia.com/compute/cuda/repos"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "sbsa"}


@dataclass(frozen=True)
class System:
    """A distribution release on an architecture.

    + distribution: "debian" or "ubuntu", as ID in /etc/os-release
    + version: VERSION_ID there, such as "12" or "24.04"
    + architecture: the output of `dpkg --print-architecture`
    """

    distribution: str
    version: str
    architecture: str = "amd64"

    @property
    def repository_name(self) -> str:
        """As NVIDIA's repository spells it: debian13, ubuntu2404."""
        return f"{self.distribution}{self.version.replace('.', '')}"

    def __str__(self) -> str:
        return f"{self.distribution.capitalize()} {self.version}"


@dataclass(frozen=True)
class Repository:
    """Where the packages are and who signs them.

    + name: the directories of the release and the machine: "debian13/x86_64"
    + url: a flat repository: the suite is "/"
    + key_url: the armoured key
    + key_fingerprint: of its primary key
    """

    name: str
    url: str
    key_url: str
    key_fingerprint: str


class UnknownRepositoryError(ValueError):
    """NVIDIA has no repository for this system."""


def repository(system: System, base: str = BASE) -> Repository:
    """NVIDIA's repository for a system.

    + base: the directory that holds debian12, ubuntu2404 and so on; a mirror's is the same

    Raises UnknownRepositoryError.
    """
    key = CUDA_KEYS.get(system.repository_name)
    machine = ARCHITECTURES.get(system.architecture)
    if key is None or machine is None:
        raise UnknownRepositoryError(
            f"NVIDIA's repository has nothing for {system} on {system.architecture}"
        )
    name = f"{system.repository_name}/{machine}"
    url = f"{base.rstrip('/')}/{name}/"
    return Repository(name, url, url + key[0], key[1])
