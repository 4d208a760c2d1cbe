"""The systemd units that gpuhost needs."""

from __future__ import annotations

from gpuhost.domain.nvidia.fabric_manager import FabricManager, fabric_manager
from gpuhost.plans import swap
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.nginx import RENEWAL
from gpuhost.snapshot.nginx import UNIT as NGINX
from gpuhost.snapshot.units import CONTAINERD, ENGINE, Units

# What containers and this host's settings depend on.
OURS = (
    *("gpuhost-", "docker.", "containerd.", "ufw.", "nginx."),
    *("nvidia-persistenced.", "nvidia-fabricmanager.", "nvidia-cdi-refresh."),
)
CDI_REFRESH = "nvidia-cdi-refresh."
FABRIC_MANAGER = "nvidia-fabricmanager."
# The checks of an app report the results of these.
OF_APPS = ("gpuhost-backup-", "gpuhost-release-")


def broken_units(snapshot: Snapshot) -> tuple[str, ...]:
    """Units that gpuhost needs and that failed, or were stopped under a running engine."""
    return tuple(
        name
        for name in (*snapshot.units.failed, *_stopped_units(snapshot.units))
        if name.startswith(OURS) and not name.startswith(OF_APPS)
    )


def masked_units(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Masked units that this host needs: nothing starts them.

    Of the engine's units docker.engine reports and repairs it, of apt's timers system.updates.
    """
    with_cards = bool(snapshot.nvidia.gpus) and settings.gpu != "none"
    need = fabric_manager(snapshot.nvidia.devices)
    needed = (
        "gpuhost-",
        *(("ufw.",) if settings.firewall_enabled else ()),
        *((NGINX,) if snapshot.nginx.needed else ()),
        *((RENEWAL,) if snapshot.nginx.certificates else ()),
        *((CDI_REFRESH,) if with_cards else ()),
        *((FABRIC_MANAGER,) if with_cards and need is FabricManager.NEEDED else ()),
        *_of_swap(snapshot, settings),
    )
    return tuple(name for name in snapshot.units.masked if name.startswith(needed))


def _of_swap(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    try:
        planned = swap.plan(snapshot, settings)
    except NotRead:
        return ()
    return swap.boot_units(settings) if planned.size and not planned.refusal else ()


def _stopped_units(units: Units) -> tuple[str, ...]:
    """containerd, if it is enabled and was stopped under a running engine."""
    engine, containerd = units.declared.get(ENGINE), units.declared.get(CONTAINERD)
    if engine is None or containerd is None or CONTAINERD in units.failed:
        return ()
    is_stopped = containerd.loaded and containerd.enabled and not containerd.active
    return (CONTAINERD,) if engine.active and is_stopped else ()
