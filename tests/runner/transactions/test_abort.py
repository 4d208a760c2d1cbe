"""An abort: the operation in progress ends at a safe point and is undone; nothing else ends."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.abort import Aborted, abortable, in_background
from gpuhost.runner.lib.commands import stream, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.stages import transaction
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import abort_request, operations, results
from gpuhost.runner.state.journal import BEGIN, END, START, UNDO, Journal
from gpuhost.runner.state.release import Release
from tests.runner.running import Cut, run_runner
from tests.runner.transaction_fixtures import ALL, NEW, OLD, Stages, a_release, current, with_old

BOB = "bob@desk"


def begun(app: AppPaths, release_id: str = NEW, kind: str = "release") -> Operation:
    operation = Operation(kind, release_id, "ada@desk", 7.0)
    operations.begin(app, operation)
    return operation


def ask_for_abort(app: AppPaths) -> None:
    operation = operations.begun(app)
    assert operation
    abort_request.request(app, operation, BOB)


def ask_often(app: AppPaths) -> None:
    for _ in range(20):
        ask_for_abort(app)


def test_two_people_may_ask_at_once(app: AppPaths) -> None:
    """They are processes of their own."""
    app.home.mkdir()
    begun(app)
    asking = [multiprocessing.Process(target=ask_often, args=(app,)) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert [one.exitcode for one in asking] == [0] * 4
    assert abort_request.requested_by(app) == BOB


def aborting(app: AppPaths, stages: Stages, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob asks for the abort while this stage runs; the stage ends well."""
    real = stages.stage(stage)

    def ask(release: Release) -> None:
        real(release)
        ask_for_abort(app)

    for group in ("PREPARING", "ACTIVATING"):
        fakes = getattr(transaction, group)
        asking = (replace(one, run=ask) if one.name == stage else one for one in fakes)
        monkeypatch.setattr(transaction, group, tuple(asking))


@pytest.mark.parametrize(
    ("during", "state", "last"),
    [
        ("source", "failed", "source"),
        ("build", "failed", "build"),
        ("backup", "failed", "backup"),
        ("migrate", "restored", f"activate {OLD}"),
        ("up", "restored", f"activate {OLD}"),
        ("verify", "restored", f"activate {OLD}"),
    ],
)
def test_no_stage_begins_after_an_abort(
    app: AppPaths,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
    during: str,
    state: str,
    last: str,
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    begun(app)
    aborting(app, stages, during, monkeypatch)
    ended = run_transaction(release)
    assert (ended.state, ended.stage, ended.aborted_by) == (state, during, BOB)
    assert ended.said == f"aborted by {BOB}"
    assert (stages.done[-1], current(app)) == (last, OLD)
    begun_stages = [name for name in stages.done if name in ALL]
    assert begun_stages == list(ALL[: ALL.index(during) + 1])


def test_an_abort_during_the_last_stage_is_too_late(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    begun(app)
    aborting(app, stages, "nginx", monkeypatch)
    assert (run_transaction(release).state, current(app)) == ("verified", NEW)


def test_a_first_release_that_is_aborted_is_removed(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = a_release(app, NEW)
    begun(app)
    aborting(app, stages, "up", monkeypatch)
    assert run_transaction(release).state == "undone"
    assert stages.done[-1] == f"undo {NEW}"


@pytest.mark.parametrize("cut_in", ["build", "up"])
def test_an_interrupted_release_is_undone_and_not_continued(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, cut_in: str
) -> None:
    with_old(app)
    a_release(app, NEW)
    stages.wrong[cut_in] = Cut()
    with pytest.raises(Cut):
        run_runner(monkeypatch, app.home, "release", NEW)
    assert run_runner(monkeypatch, app.home, "abort", "--by", BOB) == 0
    stages.wrong.clear()
    stages.done.clear()
    run_runner(monkeypatch, app.home, "resume")
    assert stages.done == ([] if cut_in == "build" else [f"activate {OLD}"])
    result = results.read(app.release(NEW).result)
    assert result and (result.aborted_by, result.stage) == (BOB, cut_in)
    assert (app.attempt.exists(), app.abort.exists(), current(app)) == (False, False, OLD)


def test_an_undo_after_an_abort_that_is_interrupted_keeps_its_reason(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    begun(app)
    aborting(app, stages, "up", monkeypatch)
    stages.wrong[f"activate {OLD}"] = Cut()
    with pytest.raises(Cut):
        run_transaction(release)
    stages.wrong.clear()
    ended = run_transaction(Release.open(app, NEW))
    assert (ended.state, ended.aborted_by) == ("restored", BOB)


def test_an_undo_that_has_begun_is_not_aborted(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    release = a_release(app, NEW)
    journal = Journal(release.paths.journal)
    for event, stage in ((START, ""), (BEGIN, "up"), (END, "up"), (UNDO, "verify")):
        journal.note(event, stage)
    begun(app)
    ask_for_abort(app)
    ended = run_transaction(Release.open(app, NEW))
    assert (ended.state, ended.aborted_by) == ("restored", "")


def test_a_failure_of_a_command_that_was_ended_is_reported_as_the_abort(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    begun(app)
    ask_for_abort(app)
    stages.wrong["preflight"] = Failure("git fetch failed: terminated")
    assert run_transaction(release).said == f"aborted by {BOB}"


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "release", "id": OLD, "by": "ada@desk", "started": 7.0},
        # An earlier restore of the same backup.
        {"kind": "release", "id": NEW, "by": "ada@desk", "started": 3.0},
        None,
        "text",
    ],
)
def test_an_abort_of_another_operation_does_not_count(app: AppPaths, other: Any) -> None:
    app.home.mkdir()
    begun(app)
    write_json(app.abort, {"of": other, "by": BOB})
    assert abort_request.requested_by(app) == ""


def test_an_abort_prints_the_operation_or_nothing(
    app: AppPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_runner(monkeypatch, app.home, "abort", "--by", BOB) == 0
    assert (capsys.readouterr().out, app.home.exists()) == ("", False)
    app.home.mkdir()
    operation = begun(app)
    assert run_runner(monkeypatch, app.home, "abort", "--by", BOB) == 0
    assert json.loads(capsys.readouterr().out) == asdict(operation)
    assert abort_request.requested_by(app) == BOB


def test_a_release_that_waits_for_an_aborted_one_is_aborted_too(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abort comes while the new release finishes the interrupted one."""
    with_old(app)
    a_release(app, NEW)
    begun(app)
    newest = "20260103-000000-cccccccc"
    release = a_release(app, newest)
    aborting(app, stages, "build", monkeypatch)
    assert run_runner(monkeypatch, app.home, "release", newest) == 1
    states = [results.read(app.release(name).result) for name in (NEW, newest)]
    assert [(one.state, one.aborted_by) for one in states if one] == [("failed", BOB)] * 2
    assert stages.done.count("preflight") == 1, "only the interrupted one has run"
    log = release.paths.log.read_text()
    assert "== first the interrupted release\n" in log
    assert f"finishing or undoing release {NEW} by ada@desk, since 1970-01-01" in log


def test_a_release_after_an_aborted_one_runs(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_old(app)
    a_release(app, NEW)
    begun(app)
    ask_for_abort(app)
    newest = "20260103-000000-cccccccc"
    release = a_release(app, newest)
    assert run_runner(monkeypatch, app.home, "release", newest) == 0
    assert current(app) == newest
    assert f"undoing release {NEW}" in release.paths.log.read_text()


def asked_after(seconds: float) -> Callable[[], str]:
    at = time.monotonic() + seconds
    return lambda: BOB if time.monotonic() >= at else ""


@pytest.mark.parametrize("program", ["try_run", "stream"])
def test_a_command_is_ended_with_its_children(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.02)
    mark = tmp_path / "late"
    words = ("sh", "-c", f"(sleep 2; touch {mark}) & wait")
    began = time.monotonic()
    with abortable(asked_after(0.2)), pytest.raises(Aborted, match=BOB):
        if program == "try_run":
            try_run(NOWHERE, *words, seconds=600)
        else:
            stream(NOWHERE, *words, seconds=600, what="sh")
    assert time.monotonic() - began < 60
    time.sleep(2.5)
    assert not mark.exists()


def test_no_command_starts_after_an_abort(tmp_path: Any) -> None:
    mark = tmp_path / "mark"
    with abortable(lambda: BOB), pytest.raises(Aborted):
        try_run(NOWHERE, "touch", str(mark), seconds=60)
    assert not mark.exists()
    try_run(NOWHERE, "touch", str(mark), seconds=60)
    assert mark.exists(), "outside, nothing is aborted"


def test_a_request_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.02)
    hangs = threading.Event()
    with abortable(asked_after(0.1)), pytest.raises(Aborted):
        in_background(lambda: hangs.wait(600))
    hangs.set()


def test_what_runs_in_the_background_returns_and_raises() -> None:
    assert in_background(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)


def test_helper_threads_are_not_aborted() -> None:
    outcomes: list[bool] = []
    with abortable(lambda: BOB):
        helper = threading.Thread(
            target=lambda: outcomes.append(try_run(NOWHERE, "true", seconds=60).ok)
        )
        helper.start()
        helper.join()
    assert outcomes == [True]


def test_the_time_limit_of_a_command_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.02)
    assert try_run(NOWHERE, "sleep", "600", seconds=0.1).status is None
    assert try_run(NOWHERE, "true", seconds=0.5).ok
