"""Several hosts, a batch at a time. The first failure stops the hosts that have not started."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from pyinfra.api import Host, State

from gpuhost.settings import Settings

_stopped: WeakKeyDictionary[State, dict[str, str]] = WeakKeyDictionary()


def stop_rollout(state: State, app: str, host: Host) -> None:
    """No other host starts to release this app. `host` has failed."""
    _stopped.setdefault(state, {}).setdefault(app, host.name)


def stopped_by(state: State, app: str, op_hash: str | None) -> str | None:
    """The host that failed first; None: continue.

    + op_hash: of the operation on the app: a host that failed before it reached that operation
      counts too
    """
    failed_here = _stopped.get(state, {}).get(app)
    failed_before = (
        host.name
        for host in state.inventory
        if host in state.failed_hosts and op_hash in host.op_hash_order
    )
    return failed_here or next(failed_before, None)


class _InOrder(set[Host]):
    """Hosts, in the order of the inventory."""

    def __iter__(self) -> Iterator[Host]:
        hosts = list(set.__iter__(self))
        return iter([host for host in hosts[0].inventory if host in self] if hosts else [])


def _keep_inventory_order(state: State) -> None:
    """pyinfra makes batches from a set, whose order is arbitrary."""
    if not isinstance(state.active_hosts, _InOrder):
        state.active_hosts = _InOrder(state.active_hosts)


def batch(state: State, host: Host) -> int:
    """How many hosts at a time, in the inventory's order: the smallest `app_batch` of all hosts.

    pyinfra ends a run in which one operation has different batches.
    """
    _keep_inventory_order(state)
    default = Settings().app_batch
    sizes = [member.data.get("app_batch", default) for member in host.inventory]
    return min((size for size in sizes if type(size) is int and size > 0), default=default)
