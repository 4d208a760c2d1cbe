"""The NVIDIA driver: one that fits the cards, loaded, and kept as it is."""

from __future__ import annotations

from typing import Any

from gpuhost.operations import nvidia, nvidia_upkeep
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def archive_ready(settings: Settings) -> None:
    """The parts of the distribution's archive that the driver needs. Before a mirror takes over."""
    nvidia.archive(name="Archive of the NVIDIA driver", **_asked(settings), **sudo_args(settings))


def ready(settings: Settings) -> None:
    """Installed where that is asked for, loaded, kept loaded, kept at its version."""
    nvidia.driver(
        name="NVIDIA driver",
        mirror=settings.nvidia_mirror,
        key_fingerprint=settings.nvidia_key_fingerprint,
        adopt=settings.adopt,
        apt_lock_timeout_s=settings.apt_lock_timeout_s,
        **_asked(settings),
        **sudo_args(settings),
    )
    nvidia_upkeep.hold(
        name="NVIDIA packages on hold",
        enabled=settings.nvidia_hold,
        **_asked(settings),
        **sudo_args(settings),
    )
    nvidia.loaded(
        name="NVIDIA driver loaded",
        reboot_when_needed=settings.nvidia_reboot,
        adopt=settings.adopt,
        **_asked(settings),
        **sudo_args(settings),
    )
    nvidia_upkeep.fabric_manager(
        name="NVIDIA Fabric Manager",
        gpu=settings.gpu,
        install=settings.nvidia_driver == "install",
        source=settings.nvidia_source,
        hold=settings.nvidia_hold,
        apt_lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
    nvidia_upkeep.persistence(
        name="NVIDIA persistence mode",
        enabled=settings.nvidia_persistence,
        **_asked(settings),
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """Without holds and units of ours; the driver stays."""
    nvidia_upkeep.removed(name="NVIDIA settings removed", **sudo_args(settings))


def _asked(settings: Settings) -> dict[str, Any]:
    """Which driver is wanted."""
    return {
        "gpu": settings.gpu,
        "install": settings.nvidia_driver == "install",
        "source": settings.nvidia_source,
        "branch": settings.nvidia_branch,
        "cuda": settings.cuda,
    }
