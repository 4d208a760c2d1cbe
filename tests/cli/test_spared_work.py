"""What libraries need not do does not change what they answer."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import connectors, util

from gpuhost.remote.spared_work import spare_work


def test_the_order_of_operations_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "stack", inspect.stack)
    monkeypatch.setattr(util, "getframeinfo", inspect.getframeinfo)
    state: Any = SimpleNamespace(current_deploy_filename=__file__, current_op_file_number=0)
    orders = []
    for prepare in (int, spare_work):
        prepare()
        orders.append(util.get_operation_order_from_stack(state))
    assert util.stack is not inspect.stack
    assert orders[0] == orders[1] != []


def test_connectors_are_looked_for_once() -> None:
    spare_work()
    spare_work()
    looked: Any = connectors.entry_points
    assert not hasattr(looked.__wrapped__, "cache_info")
    assert {"ssh", "local"} <= connectors.get_all_connectors().keys()
    before = looked.cache_info().misses
    connectors.get_all_connectors()
    assert looked.cache_info().misses == before
