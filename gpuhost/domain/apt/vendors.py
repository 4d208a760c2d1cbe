"""Vendors' archives, recognised by the path of the URI on whatever server: mirrors, caches and
proxies keep it. The names of files and of servers say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Vendor = Literal["docker", "nvidia-container-toolkit", "nvidia-cuda", "ppa", "ubuntu-pro", "medium"]
NAMES: Mapping[Vendor, str] = {
    "docker": "Docker's archive",
    "nvidia-container-toolkit": "NVIDIA's container toolkit",
    "nvidia-cuda": "NVIDIA's CUDA repository",
    "ppa": "a PPA",
    "ubuntu-pro": "Ubuntu Pro",
    "medium": "an installation medium",
}


@dataclass(frozen=True)
class Archive:
    """One archive of a vendor: what two definitions have in common if their packages are the same.

    + part: what distinguishes it from the vendor's other archives: "ubuntu jammy" of Docker's
    """

    vendor: Vendor
    part: str = ""


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
# Origin of their Release files, as public outputs of `apt-cache policy` show them.
_BY_ORIGIN: Mapping[str, Vendor] = {"Docker": "docker", "NVIDIA": "nvidia-cuda"}


def archive_of(uri: str, suite: str, origin: str = "") -> Archive | None:
    """The vendor's archive behind a URI and a suite; None: it is no known vendor's.

    + origin: of its Release file, if apt has fetched it
    """
    scheme, _, place = uri.partition(":")
    place = re.sub(r"^//(?:[^/@]*@)?", "", place)
    if scheme == "cdrom":
        return Archive("medium")
    # A flat repository may have a part of its path as its suite.
    path = f"{place.rstrip('/')}/{suite.strip('./')}" if suite.endswith("/") else place
    if match := _DOCKER.search(place):
        return Archive("docker", f"{match['part']} {suite}")
    if match := _TOOLKIT.search(path):
        return Archive("nvidia-container-toolkit", match["part"] or "stable")
    if match := _CUDA.search(path.rstrip("/")):
        return Archive("nvidia-cuda", match["part"])
    if _PPA.search(place) or origin.startswith("LP-PPA-"):
        return Archive("ppa")
    if _PRO.search(place) or origin.startswith("UbuntuESM"):
        return Archive("ubuntu-pro")
    vendor = _BY_ORIGIN.get(origin)
    return Archive(vendor, suite) if vendor else None
