"""One reading per host and phase, shared by every operation of a run.

pyinfra keeps no facts. A reading holds for the phase it was made in (prepare, execute) until an
operation is about to change the host.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec
from weakref import WeakKeyDictionary

from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host, ctx_state

from gpuhost.facts.snapshot import Snapshot as SnapshotFact
from gpuhost.plans.reading import request_for
from gpuhost.remote.commands import refuse
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.request import Request

# Longer than the collector's slowest probe: pyinfra's limit only ends what hangs on the way.
READ_TIMEOUT = 150

Commands = Generator[PyinfraCommand | str, None, None]
P = ParamSpec("P")


@dataclass
class _Memory:
    executing: bool
    request: Request
    snapshot: Snapshot


_readings: WeakKeyDictionary[Host, _Memory] = WeakKeyDictionary()


def read(settings: Settings) -> Snapshot:
    """This host as it is now, from memory if nothing has changed since the last reading.

    + settings: names the paths that have to be looked at
    """
    host: Host = ctx_host.get()
    wanted = request_for(settings)
    known = _readings.get(host)
    if known and known.executing == executing() and known.request.covers(wanted):
        return known.snapshot
    if known:
        wanted |= known.request
    raw = host.get_fact(SnapshotFact, _stdin=script(wanted), _timeout=READ_TIMEOUT)
    snapshot = Snapshot(Probes({name: Probe(**probe) for name, probe in (raw or {}).items()}))
    if raw:
        _readings[host] = _Memory(executing(), wanted, snapshot)
    return snapshot


def forget() -> None:
    """This host is about to change: the next `read` asks it again."""
    if executing():
        _readings.pop(ctx_host.get(), None)


def executing() -> bool:
    """Whether this run has begun to change hosts; before, operations only plan."""
    return bool(ctx_state.get().is_executing)


def operation(function: Callable[P, Commands]) -> PyinfraOperation[P]:
    """pyinfra's `@operation()` for operations that decide by a reading and change the host."""

    noun = function.__module__.rpartition(".")[2]

    @wraps(function)
    def generator(*args: P.args, **kwargs: P.kwargs) -> Commands:
        try:
            for command in function(*args, **kwargs):
                forget()
                yield command
        except NotRead as reason:
            # An exception would end the run of every host; the check says `unknown` with it.
            refuse(noun, str(reason))
        except Exception as error:
            refuse(noun, f"gpuhost could not work this out: {error!r}; please report this")

    return pyinfra_operation()(generator)
