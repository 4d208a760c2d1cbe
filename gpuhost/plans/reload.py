"""Whether a reload of systemd takes the GPUs from running containers, and whether one is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhost.domain.docker.daemon_file import major_version
from gpuhost.plans.toolkit import gives_by_cdi
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.containers import InspectedContainer, is_listed
from gpuhost.snapshot.units import read_unit

SYSTEMD = "systemd"
# From this release on, the engine may give the cards by CDI.
CDI_SINCE = 29
# The file of a unit, or a drop-in of one.
OF_UNIT = re.compile(r"/etc/systemd/system/([^/]+?)(?:\.d/[^/]+)?")


def takes_cards(snapshot: Snapshot) -> bool | None:
    """Whether a reload takes the cards that the engine's hook gave; None: not known.

    With the hook, systemd does not know of the devices: NVIDIA's troubleshooting of the toolkit,
    and its issue 48.
    """
    engine, by_cdi = snapshot.docker.engine, gives_by_cdi(snapshot)
    if by_cdi or (engine and engine.cgroup_driver not in ("", SYSTEMD)):
        return False
    if engine is None or not engine.cgroup_driver:
        return None
    major = major_version(engine.version)
    if by_cdi is None and (major is None or major >= CDI_SINCE):
        return None
    return True


def losing_containers(snapshot: Snapshot) -> tuple[str, ...]:
    """Running containers that a reload takes, or may take, the cards from. Raises NotRead."""
    if takes_cards(snapshot) is False:
        return left_to_systemd(snapshot)
    return tuple(container.name for container in _given_by_hook(snapshot))


def left_to_systemd(snapshot: Snapshot) -> tuple[str, ...]:
    """Containers that were started before the engine stopped using systemd: their next start ends
    that. Raises NotRead."""
    engine = snapshot.docker.engine
    if engine is None or engine.cgroup_driver in ("", SYSTEMD):
        return ()
    return tuple(each.name for each in _given_by_hook(snapshot) if each.by_systemd)


def _given_by_hook(snapshot: Snapshot) -> list[InspectedContainer]:
    if not is_listed(snapshot.probes):
        return []
    return [each for each in snapshot.containers.all if each.running and each.by_hook]


def needs_reload(snapshot: Snapshot, paths: Iterable[str]) -> bool:
    """Whether systemd must read these files again: it knows their units, and finds new units
    without a reload."""
    units = {path: match[1] for path in paths if (match := OF_UNIT.fullmatch(path))}
    return any(
        read_unit(snapshot.probes, unit).loaded or _is_known(snapshot, path, unit)
        for path, unit in units.items()
    )


def _is_known(snapshot: Snapshot, path: str, unit: str) -> bool:
    return path.endswith(f"/{unit}") and snapshot.paths.get(path) is not None


def reload_refusal(snapshot: Snapshot, *, adopt: bool) -> str:
    """Why systemd must not read its units again; empty if it may. Raises NotRead."""
    losing = () if adopt else losing_containers(snapshot)
    if not losing:
        return ""
    may = "takes" if takes_cards(snapshot) else "may take"
    return (
        f"systemd would have to reload, which {may} the GPUs from {', '.join(losing)}: set "
        "adopt=True, and recreate these containers afterwards"
    )
