"""The order of a release: forward, back, and on from wherever it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.runner import activation, result, transaction
from gpuhost.runner.failure import Failure
from gpuhost.runner.files import point, write
from gpuhost.runner.journal import Journal
from gpuhost.runner.paths import AppPaths
from gpuhost.runner.plan import Migrate, Plan
from gpuhost.runner.release import Release
from gpuhost.runner.result import Result
from gpuhost.runner.transaction import Stage, carry_out

OLD, NEW = "20260101-000000-aaaaaaaa", "20260102-000000-bbbbbbbb"
PREPARING = ("preflight", "source", "render", "build", "backup", "migrate")
ACTIVATING = ("up", "verify", "nginx")
ALL = (*PREPARING, *ACTIVATING)


class Cut(BaseException):
    """The runner is killed."""


class Stages:
    """What was done, in order, and what goes wrong where."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.wrong: dict[str, BaseException] = {}
        self.afterwards: list[str] = []

    def stage(self, name: str) -> Callable[[Release], None]:
        def carry_out(release: Release) -> None:
            self.done.append(name)
            if name in self.wrong:
                raise self.wrong[name]

        return carry_out

    def afterwards_of(self, name: str) -> Callable[[Release], None]:
        def note(release: Release) -> None:
            self.afterwards.append(name)
            raise OSError(f"{name} went wrong")

        return note

    def activated(self, release: Release) -> None:
        self.stage(f"activate {release.plan.id}")(release)

    def stopped(self, release: Release) -> None:
        self.stage(f"stop {release.plan.id}")(release)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    made = Stages()
    for group in ("PREPARING", "ACTIVATING", "BRINGING_BACK"):
        real: tuple[Stage, ...] = getattr(transaction, group)
        stood_in = tuple(replace(stage, carry_out=made.stage(stage.name)) for stage in real)
        monkeypatch.setattr(transaction, group, stood_in)
    monkeypatch.setattr(activation, "activate", made.activated)
    monkeypatch.setattr(activation, "stop", made.stopped)
    monkeypatch.setattr(transaction, "logs", lambda release: ("app | the last line",))
    monkeypatch.setattr(transaction.schedule, "install", lambda release: None)
    for name in ("prune", "trim"):
        monkeypatch.setattr(transaction.prune, name, made.afterwards_of(name))
    yield made


@pytest.fixture
def app(tmp_path: Path) -> AppPaths:
    return AppPaths(tmp_path / "app")


def a_release(app: AppPaths, release_id: str, *, migrates: bool = True) -> Release:
    home = app.release(release_id).home
    home.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        app="app",
        id=release_id,
        inputs=release_id,
        by="ada@desk",
        project="app",
        revision="r",
        migrate=Migrate("migrate") if migrates else None,
    )
    write(home / "plan.json", plan.text())
    return Release.open(app, release_id)


def with_old(app: AppPaths) -> None:
    a_release(app, OLD)
    point(app.current, f"releases/{OLD}")


def current(app: AppPaths) -> str | None:
    return app.current.resolve().name if app.current.exists() else None


def history(app: AppPaths) -> list[tuple[str, str]]:
    lines = map(json.loads, app.history.read_text().splitlines())
    return [(line["id"], line["state"]) for line in lines]


def test_the_stages_are_those_of_the_design() -> None:
    named = (stage.name for stage in (*transaction.PREPARING, *transaction.ACTIVATING))
    assert tuple(named) == ALL


def test_a_good_release_goes_through_every_stage_and_becomes_current(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    ended = carry_out(a_release(app, NEW))
    assert (ended.state, stages.done, current(app)) == ("verified", list(ALL), NEW)
    assert stages.afterwards == ["prune"]
    assert history(app) == [(NEW, "verified")]


@pytest.mark.parametrize("failing", PREPARING[:-1])
def test_a_failure_before_any_change_leaves_what_runs_alone(
    app: AppPaths, stages: Stages, failing: str
) -> None:
    with_old(app)
    stages.wrong[failing] = Failure("no space left on device", output=("line",), fix="free some")
    ended = carry_out(a_release(app, NEW))
    assert stages.done == list(ALL[: ALL.index(failing) + 1])
    assert (ended.state, ended.stage, ended.said) == ("failed", failing, "no space left on device")
    assert (ended.output, ended.fix, ended.logs) == (("line",), "free some", ())
    assert (current(app), stages.afterwards) == (OLD, ["trim"])
    assert "warning: trim went wrong" in app.release(NEW).log.read_text()


@pytest.mark.parametrize("failing", ("migrate", *ACTIVATING))
def test_a_failure_after_the_first_change_brings_the_old_release_back_and_verifies_it(
    app: AppPaths, stages: Stages, failing: str
) -> None:
    with_old(app)
    stages.wrong[failing] = Failure("exited with 1")
    ended = carry_out(a_release(app, NEW))
    assert stages.done[-1] == f"activate {OLD}"
    assert (ended.state, ended.stage, ended.restored) == ("restored", failing, OLD)
    assert ended.logs == ("app | the last line",)
    assert ended.migrated
    assert current(app) == OLD
    assert "is back, and verified" in app.release(NEW).log.read_text()


def test_a_migration_without_a_backup_leaves_nothing_to_speak_of(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong["up"] = Failure("exited with 1")
    release = a_release(app, NEW)
    release.plan = replace(release.plan, migrate_without_backup=True)
    ended = carry_out(release)
    assert (ended.state, ended.migrated) == ("restored", False)


def test_a_migration_that_is_not_declared_changes_nothing(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["migrate"] = Failure("impossible")
    assert carry_out(a_release(app, NEW, migrates=False)).state == "failed"


@pytest.mark.parametrize("failing", ACTIVATING)
def test_a_first_release_that_fails_leaves_nothing_running(
    app: AppPaths, stages: Stages, failing: str
) -> None:
    stages.wrong[failing] = Failure("never healthy")
    ended = carry_out(a_release(app, NEW))
    assert (ended.state, stages.done[-1], current(app)) == ("undone", f"stop {NEW}", None)


def test_a_restore_that_fails_is_said_in_words_no_one_can_miss(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong |= {"up": Failure("port taken"), f"activate {OLD}": Failure("port taken too")}
    ended = carry_out(a_release(app, NEW))
    assert (ended.state, ended.restore_said) == ("restore-failed", "port taken too")
    assert "THE RELEASE BEFORE DID NOT COME BACK" in app.release(NEW).log.read_text()


def test_an_error_of_our_own_brings_the_old_release_back_too(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["verify"] = KeyError("services")
    ended = carry_out(a_release(app, NEW))
    assert ended.state == "restored"
    assert "gpuhost itself failed: KeyError('services')" in ended.said


@pytest.mark.parametrize("cut", ALL)
def test_a_release_cut_off_in_a_stage_is_finished_by_the_next_runner(
    app: AppPaths, stages: Stages, cut: str
) -> None:
    with_old(app)
    stages.wrong[cut] = Cut()
    with pytest.raises(Cut):
        carry_out(a_release(app, NEW))
    stages.wrong.clear()
    before, stages.done = stages.done, []
    ended = carry_out(Release.open(app, NEW))
    assert (ended.state, current(app)) == ("verified", NEW)
    kept = {name for name in before[:-1] if name not in ("render", *ACTIVATING)}
    assert stages.done == [name for name in ALL if name not in kept]


def test_an_undoing_that_was_cut_off_goes_on_and_still_knows_why(
    app: AppPaths, stages: Stages
) -> None:
    with_old(app)
    stages.wrong |= {"verify": Failure("GPU not used"), f"activate {OLD}": Cut()}
    with pytest.raises(Cut):
        carry_out(a_release(app, NEW))
    stages.wrong.clear()
    stages.done.clear()
    ended = carry_out(Release.open(app, NEW))
    assert stages.done == [f"activate {OLD}"]
    assert (ended.state, ended.stage, ended.said) == ("restored", "verify", "GPU not used")


def test_a_release_that_keeps_ending_its_runner_is_given_up(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    stages.wrong["up"] = Cut()
    release = a_release(app, NEW)
    for _ in range(transaction.MOST_STARTS):
        with pytest.raises(Cut):
            carry_out(release)
    ended = carry_out(release)
    assert (ended.state, ended.said) == ("restored", "it was cut off 4 times")


def test_a_release_has_a_deadline(app: AppPaths, stages: Stages) -> None:
    release = a_release(app, NEW)
    release.plan = replace(release.plan, limit_s=-1)
    assert "took longer than" in carry_out(release).said


def test_a_rollback_builds_and_migrates_nothing(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    release = a_release(app, NEW)
    release.plan = replace(release.plan, rollback_of=OLD)
    ended = carry_out(release)
    assert (ended.kind, stages.done) == ("rollback", ["preflight", "render", *ACTIVATING])


def test_a_half_written_line_of_the_journal_is_not_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.note("begin", "build")
    with (tmp_path / "journal").open("a") as file:
        file.write('{"event": "end", "sta')
    again = Journal(tmp_path / "journal")
    assert [(entry.event, entry.stage) for entry in again.entries] == [("begin", "build")]


def test_a_result_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"id": 1}', "{", "null"):
        (tmp_path / "result.json").write_text(text)
        assert result.read(tmp_path / "result.json") is None


def test_a_result_is_read_as_it_was_written(app: AppPaths, stages: Stages) -> None:
    ended = carry_out(a_release(app, NEW))
    assert result.read(app.release(NEW).result) == ended
    assert isinstance(ended, Result)
