"""Vendors' archives, recognised by the path of the URI on whatever server: mirrors, caches and
proxies keep it. Where it does not say: by the key that signs it, and by its Release file. The names
of files and of servers say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gpuhost.domain.apt.vendor_keys import CUDA_KEYS, DOCKER_KEY, TOOLKIT_KEY

Vendor = Literal[
    "docker",
    "nvidia-container-toolkit",
    "nvidia-cuda",
    "ppa",
    "ubuntu-pro",
    "ubuntu-debug-symbols",
    "medium",
]
NAMES: Mapping[Vendor, str] = {
    "docker": "Docker's archive",
    "nvidia-container-toolkit": "NVIDIA's container toolkit",
    "nvidia-cuda": "NVIDIA's CUDA repository",
    "ppa": "a PPA",
    "ubuntu-pro": "Ubuntu Pro",
    "ubuntu-debug-symbols": "Ubuntu's debug symbols",
    "medium": "an installation medium",
}


@dataclass(frozen=True)
class Archive:
    """One archive of a vendor: what two definitions have in common if their packages are the same.

    + part: what distinguishes it from the vendor's other archives: "ubuntu jammy" of Docker's
    """

    vendor: Vendor
    part: str = ""


@dataclass(frozen=True)
class Published:
    """What the Release file says that apt has fetched, and the keys that may sign it.

    + origin, label: "": not fetched, or not in it
    + keys: fingerprints
    """

    origin: str = ""
    label: str = ""
    keys: frozenset[str] = frozenset()


# Docker: /linux/DISTRIBUTION below its own server or a mirror's folder (docs.docker.com, "Install";
# the mirrors' help pages: docker-ce, at Volcengine docker). Toolkit: its own archive, and those of
# the packages that became it, with /stable/deb/ARCH or /DISTRIBUTION/ARCH. CUDA: NVIDIA's own path,
# and nvidia-cuda on Aliyun's mirror.
_DOCKER = re.compile(
    r"(?:^[^/]*download\.docker\.com|/download\.docker\.com|/docker(?:-ce)?)/linux/(?P<part>[a-z]+)/*$"
)
_TOOLKIT = re.compile(
    r"/(?:libnvidia-container|nvidia-container-runtime|nvidia-docker)/(?P<part>experimental\b)?"
)
_CUDA = re.compile(r"/(?:cuda/repos|nvidia-cuda)/(?P<part>[a-z]+[0-9]+(?:/[a-z0-9_-]+))/*$")
_PPA = re.compile(r"^(?:ppa\.launchpad(?:content)?\.net|private-ppa\.launchpad[a-z]*\.net)/")
_PRO = re.compile(r"^esm\.ubuntu\.com/")
# Suites, components and, in newer instructions, the key are those of Ubuntu's archive.
_DEBUG_SYMBOLS = re.compile(r"(?:^|/)ddebs(?:\.ubuntu\.com)?(?:/|$)")
# Origin and Label of their Release files, as public outputs of `apt-cache policy` show them. NVIDIA
# is the Origin of other repositories too, those of its driver's local packages among them.
_BY_ORIGIN: Mapping[str, tuple[str, Vendor]] = {
    "Docker": ("", "docker"),
    "NVIDIA": ("NVIDIA CUDA", "nvidia-cuda"),
}
# AE09…: NVIDIA's key until 2022 (the technical blog that CUDA_KEYS names).
_BY_KEY: Mapping[str, Vendor] = {
    DOCKER_KEY: "docker",
    TOOLKIT_KEY: "nvidia-container-toolkit",
    "AE09FE4BBD223A84B2CCFCE3F60F4B3D7FA2AF80": "nvidia-cuda",
    **{fingerprint: "nvidia-cuda" for _, fingerprint in CUDA_KEYS.values()},
}


def _place(rest: str) -> str:
    """`//USER@SERVER:PORT//PATH` without login and port. Letters of the server's name have no case;
    servers take several slashes for one."""
    server, _, path = re.sub(r"^//(?:[^/@]*@)?", "", rest).partition("/")
    server = re.sub(r"\.?(?::\d*)?$", "", server.lower())
    return f"{server}/{re.sub('/{2,}', '/', path).lstrip('/')}"


def archive_of(uri: str, suite: str, published: Published | None = None) -> Archive | None:
    """The vendor's archive behind a URI and a suite; None: it is no known vendor's."""
    published = published or Published()
    scheme, _, place = uri.partition(":")
    if scheme.lower() == "cdrom":
        return Archive("medium")
    place = _place(place)
    # A flat repository may have a part of its path as its suite.
    path = f"{place.rstrip('/')}/{suite.strip('./')}" if suite.endswith("/") else place
    if match := _DOCKER.search(place):
        return Archive("docker", f"{match['part']} {suite}")
    if match := _TOOLKIT.search(path):
        return Archive("nvidia-container-toolkit", match["part"] or "stable")
    if match := _CUDA.search(path.rstrip("/")):
        return Archive("nvidia-cuda", match["part"])
    if _PPA.search(place) or published.origin.startswith("LP-PPA-"):
        return Archive("ppa")
    if _PRO.search(place) or published.origin.startswith("UbuntuESM"):
        return Archive("ubuntu-pro")
    if _DEBUG_SYMBOLS.search(place):
        return Archive("ubuntu-debug-symbols")
    label, vendor = _BY_ORIGIN.get(published.origin, ("", None))
    if vendor is None or label not in ("", published.label):
        vendors = {_BY_KEY.get(key) for key in published.keys}
        vendor = vendors.pop() if len(vendors) == 1 else None
    return Archive(vendor, suite) if vendor else None
