"""The NVIDIA driver: one that fits the cards, loaded, and kept as it is."""

from __future__ import annotations

from typing import Any

from gpuhost.operations import nvidia, nvidia_upkeep
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def archive_ready(declared: Settings) -> None:
    """The parts of the distribution's archive that the driver needs. Before a mirror takes over."""
    nvidia.archive(name="Archive of the NVIDIA driver", **_asked(declared), **elevated(declared))


def ready(declared: Settings) -> None:
    """Installed where that is asked for, loaded, kept loaded, kept at its version."""
    nvidia.driver(
        name="NVIDIA driver",
        mirror=declared.nvidia_mirror,
        key_fingerprint=declared.nvidia_key_fingerprint,
        adopt=declared.adopt,
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **_asked(declared),
        **elevated(declared),
    )
    nvidia_upkeep.hold(
        name="NVIDIA packages on hold",
        enabled=declared.nvidia_hold,
        **_asked(declared),
        **elevated(declared),
    )
    nvidia.loaded(
        name="NVIDIA driver loaded",
        reboot_when_needed=declared.nvidia_reboot,
        adopt=declared.adopt,
        **_asked(declared),
        **elevated(declared),
    )
    nvidia_upkeep.fabric_manager(
        name="NVIDIA Fabric Manager",
        gpu=declared.gpu,
        install=declared.nvidia_driver == "install",
        source=declared.nvidia_source,
        hold=declared.nvidia_hold,
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )
    nvidia_upkeep.persistence(
        name="NVIDIA persistence mode",
        enabled=declared.nvidia_persistence,
        **_asked(declared),
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """Without holds and units of ours; the driver stays."""
    nvidia_upkeep.removed(name="NVIDIA settings removed", **elevated(declared))


def _asked(declared: Settings) -> dict[str, Any]:
    """Which driver is wanted."""
    return {
        "gpu": declared.gpu,
        "install": declared.nvidia_driver == "install",
        "source": declared.nvidia_source,
        "branch": declared.nvidia_branch,
        "cuda": declared.cuda,
    }
