"""The driver's packages that no automatic upgrade may change."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

# What an automatic upgrade must not touch under running containers. Globs over package names.
HELD = (
    "nvidia-*",
    "libnvidia-*",
    "linux-modules-nvidia-*",
    "linux-objects-nvidia-*",
    "linux-signatures-nvidia-*",
    "firmware-nvidia-*",
    "xserver-xorg-video-nvidia*",
    "cuda-drivers*",
    "cuda-compat-*",
    "libcuda1*",
    "libcudadebugger1",
    "libnvcuvid1",
    "libnvsdm*",
    "libxnvctrl*",
    "nvlsm",
)
# The same for unattended-upgrades: prefixes of names, as it matches its patterns. Two files have
# them, because each of the two settings must work without the other; what is in either counts.
EXCLUDED = ("nvidia-", "libnvidia-", "libcuda", "cuda-", "firmware-nvidia-")
# Of any driver: what another one, or its Fabric Manager, takes the place of.
OF_DRIVERS = (*HELD, "*-nvidia*", "libcuda*", "libnv*")
# The container toolkit has its own settings, and its versions must move together.
NOT_HELD = ("nvidia-container-*", "libnvidia-container*", "nvidia-docker*")


def held(packages: Iterable[str]) -> tuple[str, ...]:
    """Those of the installed packages that must stay at their version, sorted."""
    return tuple(
        sorted(name for name in packages if _matches(name, HELD) and not _matches(name, NOT_HELD))
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
