"""The order of a release's stages, and how an interrupted release continues."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths, Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import engine, transaction
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import results
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.release import Release
from tests.runner.running import Cut
from tests.runner.transaction_fixtures import (
    ACTIVATING,
    ALL,
    NEW,
    OLD,
    Stages,
    a_release,
    current,
    history,
    with_old,
)


def test_the_names_and_the_order_of_the_stages() -> None:
    named = (stage.name for stage in (*transaction.PREPARING, *transaction.ACTIVATING))
    assert tuple(named) == ALL


def test_a_good_release_runs_every_stage_and_becomes_current(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    ended = run_transaction(a_release(app, NEW))
    assert (ended.state, stages.done, current(app)) == ("verified", list(ALL), NEW)
    assert stages.afterwards == ["prune"]
    assert history(app) == [(NEW, "verified")]


def test_what_follows_a_verified_release(app: AppPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Any] = []
    monkeypatch.setattr(transaction, "_run_each", lambda release, *each: steps.extend(each))
    transaction.follow_up(a_release(app, NEW))
    named = [f"{step.__module__.rpartition('.')[2]}.{step.__name__}" for step in steps]
    assert named == [
        *("schedule.install", "activation.restore_cards", "prune.prune"),
        *("runner_cleanup.forget", "fingerprint.keep", "printed_secrets.warn"),
    ]


@pytest.mark.parametrize(("migrates", "after"), [(True, "backup"), (False, "migrate")])
def test_existing_containers_are_recorded_before_the_first_change(
    app: AppPaths, stages: Stages, migrates: bool, after: str
) -> None:
    run_transaction(a_release(app, NEW, migrates=migrates))
    assert stages.looked[0] == after


@pytest.mark.parametrize("cut", ALL)
def test_a_release_that_was_interrupted_in_a_stage_is_finished_by_the_next_runner(
    app: AppPaths, stages: Stages, cut: str
) -> None:
    with_old(app)
    stages.wrong[cut] = Cut()
    with pytest.raises(Cut):
        run_transaction(a_release(app, NEW))
    stages.wrong.clear()
    before, stages.done = stages.done, []
    ended = run_transaction(Release.open(app, NEW))
    assert (ended.state, current(app)) == ("verified", NEW)
    kept = {name for name in before[:-1] if name not in ("render", *ACTIVATING)}
    assert stages.done == [name for name in ALL if name not in kept]


def test_a_release_that_became_current_is_not_undone_if_its_result_is_missing(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_old(app)

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(results, "store", cut)
        with pytest.raises(Cut):
            run_transaction(a_release(app, NEW))
    stages.wrong["verify"] = Failure("not up after 300 s")
    ended = run_transaction(Release.open(app, NEW))
    assert (ended.state, stages.done, current(app)) == ("verified", list(ALL), NEW)
    assert (stages.afterwards, history(app)) == (["prune"], [(NEW, "verified")])


def test_a_release_that_kills_its_runner_every_time_is_abandoned(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong["up"] = Cut()
    release = a_release(app, NEW)
    for _ in range(engine.MAX_STARTS):
        with pytest.raises(Cut):
            run_transaction(release)
    ended = run_transaction(release)
    assert (ended.state, ended.said) == ("restored", "the runner was interrupted 4 times")


def test_an_undo_that_kills_its_runner_every_time_is_given_up(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong = {"up": Failure("port taken"), f"activate {OLD}": Cut()}
    release = a_release(app, NEW)
    for _ in range(engine.MAX_UNDO_STARTS):
        with pytest.raises(Cut):
            run_transaction(release)
    ended = run_transaction(release)
    assert (ended.state, ended.said) == ("restore-failed", "port taken")
    assert "interrupted 8 times: journalctl -k" in ended.restore_said


@pytest.mark.parametrize("times", [1, engine.MAX_UNDO_STARTS])
def test_a_read_error_in_an_undo_is_tried_again(app: AppPaths, stages: Stages, times: int) -> None:
    with_old(app)
    release = a_release(app, NEW)
    stages.wrong = {
        "up": Failure("port taken"),
        f"activate {OLD}": OSError(errno.EIO, "Input/output error"),
    }
    for _ in range(times):
        with pytest.raises(OSError, match="Input/output"):
            run_transaction(release)
    if times == 1:
        stages.wrong.clear()
    state = "restored" if times == 1 else "restore-failed"
    assert run_transaction(release).state == state


def test_a_release_has_a_deadline(app: AppPaths, stages: Stages) -> None:
    release = a_release(app, NEW)
    release.plan = replace(release.plan, limit_s=-1)
    assert run_transaction(release).said == "the release did not end within -1 s"


def test_a_long_interruption_is_named_as_the_cause(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["build"] = Cut()
    release = a_release(app, NEW)
    with pytest.raises(Cut):
        run_transaction(release)
    release.plan = replace(release.plan, limit_s=-1)
    ended = run_transaction(release)
    assert (ended.state, ended.stage) == ("failed", "build")
    assert ended.said == "the release did not end within -1 s; its runner was interrupted"


def test_a_rollback_does_not_build_or_migrate(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    release = a_release(app, NEW)
    release.plan = replace(release.plan, rollback_of=OLD)
    ended = run_transaction(release)
    assert (ended.kind, stages.done) == ("rollback", ["preflight", "render", *ACTIVATING])


def test_a_partial_line_of_the_journal_is_ignored(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.note("begin", "build")
    with (tmp_path / "journal").open("a") as file:
        file.write('{"event": "end", "sta')
    again = Journal(tmp_path / "journal")
    assert [(entry.event, entry.stage) for entry in again.entries] == [("begin", "build")]


def test_an_unreadable_result_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"id": 1}', "{", "null"):
        (tmp_path / "result.json").write_text(text)
        assert results.read(tmp_path / "result.json") is None


def test_a_result_is_read_back_unchanged(app: AppPaths, stages: Stages) -> None:
    ended = run_transaction(a_release(app, NEW))
    assert results.read(app.release(NEW).result) == ended
    assert isinstance(ended, Result)
