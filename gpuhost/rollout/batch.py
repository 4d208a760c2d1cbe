"""Several hosts: so many at a time, and the first that fails stops those that did not begin."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from pyinfra.api import Host, State

from gpuhost.settings import Settings

_stopped: WeakKeyDictionary[State, dict[str, str]] = WeakKeyDictionary()


def stop(state: State, app: str, host: Host) -> None:
    """No host begins with this app any more; `host` is the first that failed."""
    _stopped.setdefault(state, {}).setdefault(app, host.name)


def stopped_by(state: State, app: str, op_hash: str | None) -> str | None:
    """The host that failed first; None: go on.

    + op_hash: of the operation on the app: a host that was to carry it out, and failed on its way
      there, counts too
    """
    by_its_turn = _stopped.get(state, {}).get(app)
    on_its_way = (
        host.name
        for host in state.inventory
        if host in state.failed_hosts and op_hash in host.op_hash_order
    )
    return by_its_turn or next(on_its_way, None)


class _InOrder(set[Host]):
    """Hosts, in the order of the inventory."""

    def __iter__(self) -> Iterator[Host]:
        known = list(set.__iter__(self))
        return iter([host for host in known[0].inventory if host in self] if known else [])


def _in_order(state: State) -> None:
    """Batches are made of hosts as the inventory has them: pyinfra's own order is any."""
    if not isinstance(state.active_hosts, _InOrder):
        state.active_hosts = _InOrder(state.active_hosts)


def batch(state: State, host: Host) -> int:
    """On how many hosts at a time, in the inventory's order: the least `app_batch` of them all.

    pyinfra ends a run in which one operation has different batches.
    """
    _in_order(state)
    default = Settings().app_batch
    given = [one.data.get("app_batch", default) for one in host.inventory]
    return min((size for size in given if type(size) is int and size > 0), default=default)
