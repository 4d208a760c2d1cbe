"""NVIDIA's apt repository of drivers: one for each distribution release, each with its key."""

from __future__ import annotations

from dataclasses import dataclass

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


# Key files and fingerprints by release. 3bf863cc: NVIDIA technical blog, "Updating the CUDA Linux
# GPG repository key" (2022-04). 8793F200 (Debian 13) and 60DF8A40 (Ubuntu 26.04): file names from
# NVIDIA's cuda-repo-management README, "GPG keys"; fingerprints as several public projects pin them
# with the user ids "Kitmaker (Debian 13 Trixie) <kitmaker@nvidia.com>" and "Kitmaker (Ubuntu 26.04)
# <kitmaker@nvidia.com>".
_CUDATOOLS = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
KEYS = {
    "debian12": _CUDATOOLS,
    "debian13": ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"),
    "ubuntu2204": _CUDATOOLS,
    "ubuntu2404": _CUDATOOLS,
    "ubuntu2604": ("60DF8A40.pub", "14BAFBC7562AD710CA04E69905FBB6DA60DF8A40"),
}


def repository(system: System, base: str = BASE) -> Repository:
    """NVIDIA's repository for a system.

    + base: the directory that holds debian12, ubuntu2404 and so on; a mirror's is the same

    Raises UnknownRepositoryError.
    """
    key = KEYS.get(system.repository_name)
    machine = ARCHITECTURES.get(system.architecture)
    if key is None or machine is None:
        raise UnknownRepositoryError(
            f"NVIDIA's repository has nothing for {system} on {system.architecture}"
        )
    name = f"{system.repository_name}/{machine}"
    url = f"{base.rstrip('/')}/{name}/"
    return Repository(name, url, url + key[0], key[1])
