"""Whether a host needs the NVIDIA Container Toolkit, and what a proof of it depends on."""

from __future__ import annotations

from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.domain.toolkit.proof import Circumstances, image_for
from gpuhost.plans.gpu import gpu_wanted
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def not_wanted(snapshot: Snapshot, settings: Settings) -> str:
    """Why this host needs no toolkit; empty if it does."""
    if gpu_wanted(snapshot, settings):
        return ""
    return 'gpu is "none"' if settings.gpu == "none" else "no NVIDIA card on the PCI bus"


def circumstances(snapshot: Snapshot, settings: Settings) -> Circumstances | None:
    """What a proof made now would rest on; None if it cannot be made."""
    toolkit, engine, driver = snapshot.toolkit, snapshot.docker.engine, working_driver(snapshot)
    if not driver or not engine or PACKAGES[0] not in toolkit.packages:
        return None
    image = image_for(settings.toolkit_test_image, toolkit.libc)
    return Circumstances(driver, toolkit.packages[PACKAGES[0]], engine.version, image)


def working_driver(snapshot: Snapshot) -> str | None:
    """The version of the driver; None if it does not work."""
    return str(snapshot.nvidia.driver) if snapshot.nvidia.works else None


def cards(snapshot: Snapshot) -> int:
    """How many cards a container must get: all that the host has."""
    return len(snapshot.nvidia.gpus or snapshot.nvidia.answering)
