"""The drift report as an operation: which hosts fail, and that none does in a dry run."""

from __future__ import annotations

import pytest
from pyinfra.api import FunctionCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from gpuhost.checks.finding import Finding, Status
from gpuhost.drift import apps
from gpuhost.drift.applied import document
from gpuhost.operations import drift_verdict
from gpuhost.settings import Settings
from gpuhost.snapshot.applied import APPLIED
from tests.recorded import raw

DECLARED = Settings(memory_min_gb=900)


def applied(*ids: str, **settings: float) -> str:
    good = [Finding(Status.OK, id=id) for id in ids]
    text = document(None, Settings(**settings), good, at=1, by="ada@desk")
    assert text is not None
    return text


def outcome(
    record: str | None, *statuses: Status, executing: bool = True
) -> tuple[int, str | None]:
    """The number of commands and the noop text, for these statuses of memory.total."""
    state = FakeState()
    state.is_executing = executing
    case = {"host": "debian13", "files": {APPLIED: record}}
    host = create_host(state, facts={"snapshot.Snapshot": raw(case)})
    state.ops = {host: {}}
    found = [Finding(status, id="memory.total", actual="24 GB") for status in statuses]
    with pytest.MonkeyPatch.context() as patch, ctx_state.use(state), ctx_host.use(host):
        patch.setattr(apps, "run_checks", lambda snapshot, settings: found)
        patch.setattr(apps, "app_differences", lambda snapshot, settings, file_of, *, at: [])
        commands = list(drift_verdict.report_drift._inner(settings=DECLARED))
    assert all(isinstance(one, FunctionCommand) for one in commands)
    return len(commands), host.noop_description


DRIFTED = applied("memory.total", memory_min_gb=900)
PENDING = applied("memory.total", memory_min_gb=0)


def test_drift_and_unknown_fail() -> None:
    assert outcome(DRIFTED, Status.FAIL) == (1, None)
    assert outcome(DRIFTED, Status.UNKNOWN) == (1, None)


def test_pending_does_not_fail() -> None:
    assert outcome(PENDING, Status.FAIL) == (0, "pending: 1 pending")
    assert outcome(None, Status.FAIL) == (0, "pending: 1 never applied")
    assert outcome(DRIFTED, Status.OK, Status.WARN) == (0, "ok: 1 warn, 1 ok")


def test_a_dry_run_does_not_fail() -> None:
    assert outcome(DRIFTED, Status.FAIL, executing=False) == (0, "drift: 1 drift")
