"""For any daemon.json, checks have a result, and operations plan or refuse."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import run_checks
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.recorded import probes

values = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
odd = (
    values | st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=3), values, max_size=2)
)
KEYS = (
    "log-driver",
    "log-opts",
    "runtimes",
    "registry-mirrors",
    "default-address-pools",
    "live-restore",
    "data-root",
    "features",
)


@given(st.dictionaries(st.sampled_from(KEYS), odd))
def test_every_docker_check_has_a_result(config: dict[str, Any]) -> None:
    text = json.dumps(config)
    snapshot = Snapshot(probes("debian13-docker", {"/etc/docker/daemon.json": text}))
    findings = run_checks(snapshot, Settings(), ["docker"])
    assert [f.id for f in findings if f.status is Status.UNKNOWN] == []
