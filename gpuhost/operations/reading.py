"""One reading of each host, shared by all operations of a run.

pyinfra does not cache facts. A reading is valid for a minute, until an operation of anybody
changes the host: a run that changes nothing reads each host once. An operation may name others
whose changes are nothing to it: a reading from before them will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.context import ctx_host, ctx_state

from gpuhost.facts.snapshot import Snapshot as SnapshotFact
from gpuhost.operations.failures import lacks_packages, skip_reason
from gpuhost.operations.refuse import ChangeRefused, refuse
from gpuhost.plans.request import request_for
from gpuhost.remote.controller import protect_controller
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.request import Request

# Longer than the collector's slowest probe: this limit is for a connection that hangs.
READ_SECONDS = 150

UNREADABLE = "the host cannot be read any more: run the deploy again when it can"

# A person may take long to confirm what pyinfra has prepared.
VALID_SECONDS = 60

Commands = Generator[PyinfraCommand | str, None, None]
P = ParamSpec("P")


@dataclass
class _Reading:
    made: float
    changes: int
    request: Request
    snapshot: Snapshot
    changed_by: set[str] = field(default_factory=set)


_readings: WeakKeyDictionary[Host, _Reading] = WeakKeyDictionary()


def read(settings: Settings, *, despite: Collection[str] = ()) -> Snapshot:
    """This host as it is now; the last reading, if nothing has changed since.

    + settings: they name the paths to read
    + despite: operations that change nothing by which the caller decides
    """
    # An operation may run without a deploy of gpuhost, and without its config.py.
    protect_controller()
    host: Host = ctx_host.get()
    # Operations that know nothing of the other settings read the defaults' paths.
    request = request_for(settings) | _default_request()
    last = _readings.get(host)
    changes = _changes(host)
    if last and _is_valid(last, changes, despite) and last.request.covers(request):
        return last.snapshot
    if last:
        request |= last.request
    began = time.monotonic()
    raw = _read(host, request)
    probes = {name: Probe(**probe) for name, probe in (raw or {}).items()}
    snapshot = Snapshot(Probes(probes, unread="" if raw else UNREADABLE))
    if raw:
        _readings[host] = _Reading(began, changes, request, snapshot)
    return snapshot


def _read(host: Host, request: Request) -> dict[str, Any] | None:
    """Of a host that cannot be read, nothing more can be done, whatever the operation ignores:
    pyinfra says why, and raises an error if no other host is left.
    """
    with suppress(PyinfraError) if executing() else nullcontext():
        raw: dict[str, Any] | None = host.get_fact(
            SnapshotFact, _stdin=script(request), _timeout=READ_SECONDS, _ignore_errors=False
        )
        return raw
    return None


@cache
def _default_request() -> Request:
    return request_for(Settings())


def _is_valid(last: _Reading, changes: int, despite: Collection[str]) -> bool:
    # Operations that are not ours are counted, and nothing more is known of them.
    known = last.changes + len(last.changed_by) == changes
    is_new = time.monotonic() - last.made < VALID_SECONDS
    return known and last.changed_by.issubset(despite) and is_new


def _changes(host: Host) -> int:
    """The number of operations that have executed commands on this host."""
    operations = ctx_state.get().ops[host].values()
    return sum(operation.operation_meta.executed for operation in operations)


def forget(key: str = "") -> None:
    """The host changes: the reading is no longer valid.

    + key: module and function of the operation that changes it; empty: valid for nobody
    """
    if executing() and (last := _readings.get(ctx_host.get())):
        last.changed_by.add(key)


def executing() -> bool:
    """Whether this run changes hosts now; before, operations only plan."""
    return bool(ctx_state.get().is_executing)


def operation(function: Callable[P, Commands]) -> PyinfraOperation[P]:
    """pyinfra's `@operation()`, for an operation that decides by a reading and changes the host."""
    noun = function.__module__.rpartition(".")[2]
    key = f"{noun}.{function.__name__}"

    @wraps(function)
    def generator(*args: P.args, **kwargs: P.kwargs) -> Commands:
        if executing() and skip_reason(ctx_state.get(), ctx_host.get(), key):
            return
        try:
            for command in function(*args, **kwargs):
                if executing() and lacks_packages(ctx_state.get(), ctx_host.get(), command):
                    return
                forget(key)
                yield command
        except (NotRead, ChangeRefused) as reason:
            # An exception would end the run on every host. The check reports `unknown` for it.
            refuse(noun, str(reason))
        except Exception as error:
            refuse(noun, f"internal error: {error!r}; please report it")

    return pyinfra_operation()(generator)
