"""A host's kernel, by its release: who made it, its flavour, its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

# VERSION[+~…][-ABI…]-FLAVOUR: 6.8.0-1021-aws, 6.12.48+deb13-cloud-amd64, 6.12.8-1-liquorix-amd64.
RELEASE = re.compile(
    r"(?P<version>\d+(?:\.\d+)*)(?:[+~][^-]*)?(?:-\d+(?:\.\d+)*)?(?:-(?P<flavour>.+))?", re.ASCII
)
METAPACKAGE = re.compile(r"linux-image-(?P<flavour>(?!\d)[a-z0-9.\-]+)")
# Debian's and Ubuntu's package pages, 2026.
DEBIAN_FLAVOUR = re.compile(r"(?:cloud-|rt-)?(?:amd64|arm64)(?:-16k)?(?:-unsigned)?")
UBUNTU_FLAVOUR = re.compile(
    r"(?:generic|lowlatency|aws|azure|gcp|gke|gkeop|ibm|intel|intel-iotg|kvm|nvidia|oem|oracle|raspi"
    r"|realtime|nvidia-lowlatency|nvidia-tegra|azure-fde|azure-nvidia)(?:-64k|-fde)?"
)
# Ubuntu's restricted archive: flavours with linux-modules-nvidia-*, signed by Canonical.
SIGNED_FLAVOURS = ("generic", "lowlatency", "aws", "azure", "gcp", "gke", "oem", "oracle")
# Metapackages of kernels whose releases end otherwise: linux-image-virtual installs -generic.
ALSO_INSTALLED_BY = {"generic": ("generic", "virtual")}
# -hwe-22.04, -hwe-22.04-edge, -lts-24.04, -24.04b, -6.8; not -64k or -fde, which are flavours.
SERIES = r"(?:-(?:hwe|lts))?(?:-\d+\.\d+[a-z]?)?(?:-edge)?"
# The package's name changed with this kernel: Proxmox VE 8.1's notes.
PROXMOX_NAMES_SINCE = (6, 5)
REAL_TIME = re.compile(r"(?:^|-)(?:rt|realtime)\d*(?:-|$)")


class Maker(Enum):
    """Who built a kernel, as far as its release tells."""

    DISTRIBUTION = "the distribution"
    PROXMOX = "Proxmox"
    OTHER = "somebody else"


def kernel_flavour_of(release: str) -> str | None:
    """What follows the version in `uname -r`: "aws" of 6.8.0-1021-aws."""
    match = RELEASE.fullmatch(release)
    return match["flavour"] if match else None


def maker(release: str) -> Maker:
    """Who built the kernel.

    **Example:** ``maker("6.8.12-4-pve")`` is ``Maker.PROXMOX``; xanmod's, Liquorix' and those that
    were built by hand are ``Maker.OTHER``.
    """
    flavour = kernel_flavour_of(release) or ""
    if re.search(r"(?:^|-)pve$", flavour):
        return Maker.PROXMOX
    named = DEBIAN_FLAVOUR.fullmatch(flavour) or UBUNTU_FLAVOUR.fullmatch(flavour)
    return Maker.DISTRIBUTION if named else Maker.OTHER


def is_real_time(release: str) -> bool:
    """Debian's rt-amd64, Ubuntu's realtime: DKMS does not build NVIDIA's modules for them."""
    return bool(REAL_TIME.search(kernel_flavour_of(release) or ""))


@dataclass(frozen=True)
class Kernel:
    """A kernel of the host.

    + release: `uname -r`, such as "6.8.0-45-generic"
    + flavour: that of its metapackage, such as "generic", "generic-hwe-24.04", "cloud-amd64";
      None: installed without one
    """

    release: str
    flavour: str | None

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers of this kernel and, through the metapackage, of every later one."""
        if maker(self.release) is Maker.PROXMOX:
            return _proxmox_headers(self.release)
        meta = (f"linux-headers-{self.flavour}",) if self.flavour else ()
        return (f"linux-headers-{self.release}", *meta)

    @property
    def signed_flavour(self) -> str | None:
        """The flavour for which Ubuntu has signed modules; None: it has none."""
        if self.flavour is None:
            return None
        flavour = re.sub(r"^virtual", "generic", self.flavour)
        is_signed = any(re.match(rf"{name}(?:$|-(?!fde))", flavour) for name in SIGNED_FLAVOURS)
        return flavour if is_signed else None


def _proxmox_headers(release: str) -> tuple[str, ...]:
    version = tuple(int(part) for part in re.findall(r"\d{1,6}", release)[:2])
    if version < PROXMOX_NAMES_SINCE:
        return (f"pve-headers-{release}", "pve-headers")
    return (f"proxmox-headers-{release}", "proxmox-default-headers")


def kernel_flavour(
    packages: Iterable[str], release: str = "", versions: Mapping[str, str] | None = None
) -> str | None:
    """The flavour of the kernel's metapackage, from the names of installed packages.

    + release: `uname -r`: only a metapackage of that flavour counts; "": any
    + versions: the packages' versions: one of the kernel's own version is preferred

    **Example:** ``kernel_flavour(["linux-image-generic", "linux-image-aws"], "6.8.0-1021-aws")`` is
    "aws".

    Of several, the one with the longest name: an HWE or cloud kernel was chosen on purpose.
    """
    matches = (METAPACKAGE.fullmatch(name) for name in packages)
    flavours = {match["flavour"] for match in matches if match}
    flavours = {name for name in flavours if "unsigned" not in name and "dbg" not in name}
    if release:
        own = kernel_flavour_of(release) or ""
        flavours = {name for name in flavours if _is_of(name, own)}
        flavours = _of_version(flavours, release, versions or {}) or flavours
    return max(sorted(flavours), key=len, default=None)


def _is_of(flavour: str, own: str) -> bool:
    """Whether a metapackage, "generic-hwe-24.04", installs kernels of a release's flavour."""
    names = ALSO_INSTALLED_BY.get(own, (own,))
    return any(re.fullmatch(rf"{re.escape(name)}{SERIES}", flavour) for name in names if name)


def _of_version(flavours: set[str], release: str, versions: Mapping[str, str]) -> set[str]:
    match = RELEASE.fullmatch(release)
    version = match["version"] if match else release
    return {
        name
        for name in flavours
        if versions.get(f"linux-image-{name}", "").rpartition(":")[2].startswith(f"{version}")
    }
