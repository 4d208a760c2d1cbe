"""Many hosts and few slots: progress is reported per host, and the deadline is for all hosts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gevent  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]

from gpuhost.fleet.host_pool import HostError, on_each_host
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.inventory import Fleet

NAMES = [f"gpu{number}" for number in range(8)]


def fleet(at_once: int) -> Fleet:
    hosts = tuple(SimpleNamespace(name=name) for name in NAMES)
    state = SimpleNamespace(pool=Pool(at_once))
    return Fleet(cast(Any, hosts), {}, cast(Any, state))


def test_a_host_is_reported_while_others_wait_for_a_slot() -> None:
    order: list[str] = []

    def work(host: Any) -> str:
        order.append(f"begun {host.name}")
        gevent.sleep(0.01)
        return str(host.name)

    results = on_each_host(fleet(2), work, lambda name: order.append(f"done {name}"))
    assert list(results.by_host) == NAMES
    assert order.index("done gpu0") < order.index("begun gpu7")
    assert sum(one.startswith("done") for one in order) == len(NAMES)


def test_the_deadline_starts_with_the_first_host() -> None:
    begun: list[str] = []

    def work(host: Any) -> str:
        begun.append(host.name)
        gevent.sleep(0 if host.name == "gpu0" else 600)
        return "done"

    pool = fleet(2)
    results = on_each_host(pool, work, lambda _: None, deadline=0.2)
    gevent.sleep(0.05)
    assert results.by_host["gpu0"] == "done"
    late = [one for one in results.by_host.values() if isinstance(one, HostError)]
    assert len(late) == len(NAMES) - 1
    assert {one.status for one in late} == {HostStatus.ERROR}
    assert {one.reason for one in late} == {
        "the run's limit of 0.2 s was reached before it was done"
    }
    # Hosts that waited for a slot do not start after the deadline.
    assert begun == ["gpu0", "gpu1", "gpu2"]
    assert not len(pool.state.pool)


def test_other_work_is_done_while_hosts_answer() -> None:
    order: list[str] = []

    def steps() -> Any:
        for number in range(3):
            order.append(f"step {number}")
            yield

    def work(host: Any) -> str:
        gevent.sleep(0.05)
        order.append(host.name)
        return "done"

    on_each_host(fleet(20), work, lambda _: None, meanwhile=steps())
    assert order[:3] == ["step 0", "step 1", "step 2"]
