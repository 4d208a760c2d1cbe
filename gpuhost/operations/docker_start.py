"""Start the engine: unmask its units, and enable and start it, or restart one that has failed."""

from __future__ import annotations

from gpuhost.operations.docker_activation import restart_engine
from gpuhost.operations.reading import Commands
from gpuhost.operations.units import enable_now, start_at_boot
from gpuhost.remote.commands import run
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.units import CONTAINERD, ENGINE, ENGINE_SOCKET

UNITS = (CONTAINERD, ENGINE_SOCKET, ENGINE)


def start(snapshot: Snapshot, *, is_stuck: bool) -> Commands:
    units = [unit for name in UNITS if (unit := snapshot.units.declared.get(name))]
    has_failed = snapshot.docker.engine is None and any(unit.failed for unit in units)
    must_restart = is_stuck or has_failed
    if masked := masked_engine_units(snapshot):
        yield run("systemctl", "unmask", *masked)
        # A mask until the next boot is another link.
        yield run("systemctl", "unmask", "--runtime", *masked)
    if must_restart:
        yield from start_at_boot(snapshot, ENGINE)
        yield from restart_engine()
    else:
        yield from enable_now(snapshot, ENGINE, seconds=120)


def masked_engine_units(snapshot: Snapshot) -> list[str]:
    units = [snapshot.units.declared.get(name) for name in UNITS]
    return [unit.name for unit in units if unit and unit.masked]
