"""Files of systemd's units: written, and read again by systemd only if it has to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from gpuhost.operations.reading import Commands
from gpuhost.operations.refuse import refuse
from gpuhost.plans.host_file import HostFile
from gpuhost.plans.reload import needs_reload, reload_refusal
from gpuhost.remote.commands import put, remove, run
from gpuhost.remote.units import RELOAD, disable_now, enable, want
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.units import read_unit


def refuse_files(noun: str, snapshot: Snapshot, paths: Iterable[str], *, adopt: bool) -> bool:
    """Refuse to change these files, if systemd would take the GPUs from running containers; True
    if it is refused.
    """
    return needs_reload(snapshot, paths) and refuse_reload(noun, snapshot, adopt=adopt)


def refuse_reload(noun: str, snapshot: Snapshot, *, adopt: bool) -> bool:
    """Refuse it, if systemd may not read its units again; True if it is refused. To unmask a unit
    reloads too.
    """
    reason = reload_refusal(snapshot, adopt=adopt)
    if reason:
        refuse(noun, reason)
    return bool(reason)


def write_files(snapshot: Snapshot, differing: Collection[HostFile]) -> Commands:
    """Write files, units among them."""
    for file in differing:
        yield put(file.path, file.content, mode=file.mode)
    if needs_reload(snapshot, [file.path for file in differing]):
        yield RELOAD


def start_at_boot(snapshot: Snapshot, *units: str) -> Commands:
    """Enable units, or have those started that cannot be enabled."""
    static = [name for name in units if read_unit(snapshot.probes, name).static]
    if others := [name for name in units if name not in static]:
        yield enable(*others)
    if missing := [name for name in static if not read_unit(snapshot.probes, name).enabled]:
        yield want(*missing)


def enable_now(snapshot: Snapshot, *units: str, seconds: int) -> Commands:
    """Start units now and at boot."""
    yield from start_at_boot(snapshot, *units)
    yield run("systemctl", "start", *units, seconds=seconds)


def enable_missing(snapshot: Snapshot, written: Collection[HostFile], *units: str) -> Commands:
    """Enable the units that are not. If their files are written, systemd may still say what was
    true of earlier ones.
    """
    if missing := [
        name for name in units if written or not read_unit(snapshot.probes, name).enabled
    ]:
        yield enable(*missing)


def remove_units(snapshot: Snapshot, paths: Sequence[str], *units: str) -> Commands:
    """Stop units and delete files. Until systemd reads its units again, it takes them for enabled;
    it does so now, unless that takes GPUs from running containers.
    """
    if units:
        yield from disable_now(*units)
    yield remove(*paths)
    with suppress(NotRead):
        if not reload_refusal(snapshot, adopt=False):
            yield RELOAD
