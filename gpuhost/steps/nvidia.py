"""The NVIDIA driver: one that supports the cards, loaded, and held at its version."""

from __future__ import annotations

from typing import Any

from gpuhost.operations import nvidia, nvidia_mig, nvidia_upkeep
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def add_archive_components(settings: Settings) -> None:
    """Enable the archive components that the driver needs. Run it before `apt.apply`, so that the
    mirror applies to them too."""
    nvidia.archive(
        name="Archive components of the NVIDIA driver",
        adopt=settings.adopt,
        **_driver(settings),
        **sudo_args(settings),
    )


def apply(settings: Settings) -> None:
    """Install the driver if that is declared, load it, keep it loaded, and hold its version."""
    nvidia.driver(
        name="NVIDIA driver",
        mirror=settings.nvidia_mirror,
        key_fingerprint=settings.nvidia_key_fingerprint,
        adopt=settings.adopt,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **_driver(settings),
        **sudo_args(settings),
    )
    nvidia_upkeep.hold(
        name="NVIDIA packages on hold",
        **_driver(settings),
        present=settings.nvidia_hold,
        **sudo_args(settings),
    )
    nvidia.load(
        name="NVIDIA driver loaded",
        reboot_when_needed=settings.nvidia_reboot,
        adopt=settings.adopt,
        **_driver(settings),
        **sudo_args(settings),
    )
    nvidia_upkeep.fabric_manager(
        name="NVIDIA Fabric Manager",
        gpu=settings.gpu,
        install=settings.nvidia_driver == "install",
        source=settings.nvidia_source,
        hold=settings.nvidia_hold,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )
    nvidia_upkeep.persistence(
        name="NVIDIA persistence mode",
        **_driver(settings),
        adopt=settings.adopt,
        present=settings.nvidia_persistence,
        **sudo_args(settings),
    )
    # A card in use keeps its layout: the verification says so, and the deploy continues.
    nvidia_mig.layout(
        name="MIG layout of the cards",
        mig=settings.nvidia_mig,
        gpu=settings.gpu,
        adopt=settings.adopt,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove gpuhost's holds and units; the driver stays."""
    nvidia_upkeep.hold(
        name="NVIDIA packages no longer on hold", present=False, **sudo_args(settings)
    )
    nvidia_upkeep.persistence(
        name="NVIDIA persistence mode removed", present=False, **sudo_args(settings)
    )
    nvidia_mig.layout(name="MIG layout removed", present=False, **sudo_args(settings))


def _driver(settings: Settings) -> dict[str, Any]:
    """The arguments that declare the driver."""
    return {
        "gpu": settings.gpu,
        "install": settings.nvidia_driver == "install",
        "source": settings.nvidia_source,
        "branch": settings.nvidia_branch,
        "cuda": settings.cuda,
    }
