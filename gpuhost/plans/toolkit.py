"""Whether a host needs the NVIDIA Container Toolkit, and what a proof of it depends on."""

from __future__ import annotations

from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.domain.toolkit.proof import Circumstances, image_for
from gpuhost.plans.gpu import needs_gpu
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.toolkit import Toolkit


def reason_not_needed(snapshot: Snapshot, settings: Settings) -> str:
    """Why this host does not need the toolkit; empty if it does."""
    if needs_gpu(snapshot, settings):
        return ""
    return 'gpu is "none"' if settings.gpu == "none" else "no NVIDIA card on the PCI bus"


def circumstances(snapshot: Snapshot, settings: Settings) -> Circumstances | None:
    """The versions that a proof made now would depend on; None if it cannot be made."""
    toolkit, engine, driver = snapshot.toolkit, snapshot.docker.engine, working_driver(snapshot)
    if not driver or not engine or PACKAGES[0] not in toolkit.packages:
        return None
    image = image_for(settings.toolkit_test_image, toolkit.libc)
    return Circumstances(driver, toolkit.packages[PACKAGES[0]], engine.version, image)


def working_driver(snapshot: Snapshot) -> str | None:
    """The version of the driver; None if it does not work."""
    return str(snapshot.nvidia.driver) if snapshot.nvidia.works else None


def cards(snapshot: Snapshot) -> int:
    """How many cards a container must see: all of the host's."""
    return len(snapshot.nvidia.gpus or snapshot.nvidia.answering)


def specification_path(toolkit: Toolkit) -> str:
    """Where the CDI specification must be."""
    return REFRESHED if toolkit.refresh else STATIC
