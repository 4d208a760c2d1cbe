"""Work for all hosts in this process: many at a time, and none delays another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gevent  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]

from gpuhost.fleet.host_pool import on_each_host
from gpuhost.fleet.inventory import Fleet

NAMES = [f"gpu{number}" for number in range(8)]


def test_hosts_wait_for_a_slot_and_results_are_in_order() -> None:
    order: list[str] = []

    def work(host: Any) -> str:
        order.append(f"begun {host.name}")
        gevent.sleep(0.02 if host.name == "gpu0" else 0.01)
        order.append(f"done {host.name}")
        return str(host.name)

    hosts = tuple(SimpleNamespace(name=name) for name in NAMES)
    fleet = Fleet(cast(Any, hosts), {}, cast(Any, SimpleNamespace(pool=Pool(2))))
    results = on_each_host(fleet, work)
    assert list(results.by_host) == list(results.by_host.values()) == NAMES
    assert order.index("done gpu1") < order.index("begun gpu2")
