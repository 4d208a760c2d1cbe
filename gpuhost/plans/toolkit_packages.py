"""The source of the toolkit: repository, package names, versions."""

from __future__ import annotations

from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendors import Archive
from gpuhost.settings import Settings

# docs.nvidia.com/datacenter/cloud-native/container-toolkit, "Installing with apt".
OFFICIAL = "https://nvidia.github.io/libnvidia-container"
# mirrors.ustc.edu.cn/help/libnvidia-container.html. Its .list still names nvidia.github.io.
USTC = "https://mirrors.ustc.edu.cn/libnvidia-container"
# Of the repository's files.
NAME = "nvidia-container-toolkit"


def repository(settings: Settings, architecture: str) -> Repository:
    """The toolkit's repository, which is one for all distributions, from the declared mirror.

    + settings: `toolkit_mirror` is "nvidia", "ustc", or a URL in place of
      https://nvidia.github.io/libnvidia-container
    + architecture: in dpkg's words, "amd64"
    """
    base = {"nvidia": OFFICIAL, "ustc": USTC}.get(settings.toolkit_mirror, settings.toolkit_mirror)
    return Repository(
        name=NAME,
        uri=f"{base}/stable/deb/{architecture}",
        suite="/",
        component="",
        architecture=architecture,
        key_url=f"{base}/gpgkey",
        fingerprint=settings.toolkit_key_fingerprint,
        archive=Archive("nvidia-container-toolkit", "stable"),
    )


def release(version: str) -> str:
    """The release that a package version is of: "1.20.0-1" -> "1.20.0"."""
    return version.rpartition("-")[0] or version
