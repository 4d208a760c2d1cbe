"""The runner's commands: how each ends, and what it finds to be finished first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files

import pytest

from gpuhost.rollout.deliver import resume_unit
from gpuhost.runner import __main__ as entry
from gpuhost.runner.contract import RESTORE_FAILED, RESTORED, VERIFIED, Operation, Result
from gpuhost.runner.plan import Backup, BadPlan
from gpuhost.runner.state import results
from gpuhost.runner.state.journal import START, Journal
from gpuhost.runner.state.lock import lock
from gpuhost.runner.state.operations import begin
from gpuhost.runner.state.release import Release
from tests.runner.at_hand import NEW, OLD, App, app
from tests.runner.ended import ended

__all__ = ["app"]

Run = Callable[..., int]


class Carried:
    """What was carried out, and how it goes."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.kept: list[str] = []
        self.wrong: dict[str, Exception] = {}

    def out(self, release: Release) -> Result:
        self.ids.append(release.plan.id)
        if release.plan.id in self.wrong:
            raise self.wrong[release.plan.id]
        results.write(release, ended(release))
        return ended(release)


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Carried:
    made = Carried()
    monkeypatch.setattr(entry, "run_transaction", made.out)
    monkeypatch.setattr(entry, "keep", lambda release: made.kept.append(release.plan.id))
    return made


@pytest.fixture
def run(app: App, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(verb: str, *arguments: str) -> int:
        words = ["runner.pyz", verb, str(app.paths.home), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        return entry.main()

    return run


@pytest.fixture
def a_backup_ends(app: App) -> Iterator[None]:
    """The lock is held for a moment, by nobody who has begun an attempt."""
    has_it = threading.Event()

    def hold() -> None:
        with lock(app.paths):
            has_it.set()
            threading.Event().wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert has_it.wait(60)
    yield
    holder.join()


@pytest.mark.usefixtures("a_backup_ends")
def test_a_release_waits_for_a_backup_and_says_so(app: App, run: Run, carried: Carried) -> None:
    release = app.release(NEW)
    assert run("release", NEW) == 0
    assert carried.ids == [NEW]
    assert "== wait for a backup" in release.paths.log.read_text()


@pytest.mark.usefixtures("a_backup_ends")
def test_what_was_cut_off_waits_for_a_backup(app: App, run: Run, carried: Carried) -> None:
    app.release(NEW)
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("resume") == 0
    assert (carried.ids, app.paths.attempt.exists()) == ([NEW], False)


def test_the_second_of_two_is_refused_with_the_firsts_name(
    app: App, run: Run, carried: Carried, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(NEW)
    begin(app.paths, Operation("release", OLD, "ada@desk", 0.0))
    with lock(app.paths):
        assert run("release", NEW) == 4
    assert f"locked by release {OLD} by ada@desk" in capsys.readouterr().err
    assert carried.ids == []


@pytest.mark.parametrize(
    ("state", "is_under_way", "kept"),
    [(VERIFIED, True, [NEW]), (RESTORED, True, []), (VERIFIED, False, [])],
)
def test_cut_off_after_its_result_what_follows_from_it_is_done_all_the_same(
    app: App, run: Run, carried: Carried, state: str, is_under_way: bool, kept: list[str]
) -> None:
    release = app.release(NEW)
    results.write(release, ended(release, state))
    if is_under_way:
        begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("release", NEW) == (0 if state == VERIFIED else 1)
    assert (carried.kept, carried.ids, app.paths.attempt.exists()) == (kept, [], False)


def of_another_format(release: Release) -> None:
    plan = release.paths.plan
    plan.write_text(plan.read_text().replace('"format": 1', '"format": 0'))


def with_a_damaged_record(release: Release) -> None:
    release.paths.record.write_text('{"images": ')


def with_a_record_of_another_shape(release: Release) -> None:
    release.paths.record.write_text('{"images": 7}')


@pytest.mark.parametrize(
    "damage", [of_another_format, with_a_damaged_record, with_a_record_of_another_shape]
)
def test_what_was_cut_off_and_cannot_be_opened_is_given_up_loudly(
    app: App, run: Run, carried: Carried, damage: Callable[[Release], None]
) -> None:
    cut_off = app.release(OLD)
    damage(cut_off)
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    app.release(NEW)
    assert run("release", NEW) == 0
    assert (carried.ids, app.paths.attempt.exists()) == ([NEW], False)
    told = results.read(cut_off.paths.result)
    assert told
    assert (told.state, told.by, told.started) == (RESTORE_FAILED, "ada@desk", 7.0)
    assert "COULD NOT BE FINISHED OR UNDONE" in cut_off.paths.log.read_text()
    assert OLD in app.paths.history.read_text()


def test_what_cannot_be_opened_any_more_but_had_ended_stays_as_it_ended(
    app: App, run: Run, carried: Carried
) -> None:
    cut_off = app.release(OLD)
    results.write(cut_off, ended(cut_off))
    of_another_format(cut_off)
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    assert run("resume") == 0
    assert results.read(cut_off.paths.result) == ended(cut_off)
    assert not app.paths.attempt.exists()


@pytest.mark.parametrize(
    ("wrong", "starts", "status"),
    [
        (BadPlan("what is wrong: format 0"), 1, 3),
        (TypeError("what is wrong"), 1, entry.UNFORESEEN),
        (TypeError("what is wrong"), 5, 3),
        (OSError("what is wrong"), 99, entry.UNFORESEEN),
    ],
)
def test_what_stays_damaged_is_given_up_and_what_may_pass_is_tried_again(
    app: App, run: Run, carried: Carried, wrong: Exception, starts: int, status: int
) -> None:
    release = app.release(NEW)
    carried.wrong[NEW] = wrong
    for _ in range(starts):
        Journal(release.paths.journal).note(START)
    assert run("release", NEW) == status
    told = results.read(release.paths.result)
    is_over = status == 3
    assert (told is not None, app.paths.attempt.exists()) == (is_over, not is_over)
    if told:
        assert (told.state, "what is wrong" in told.said) == (RESTORE_FAILED, True)


# What systemd does not start a runner again after, in release_begin.sh and gpuhost-resume@.service.
FOR_GOOD = {1, 2, 3, 4}


def test_something_unforeseen_is_tried_again_by_systemd(
    app: App, run: Run, carried: Carried, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(NEW)
    carried.wrong[NEW] = OSError(28, "No space left on device")
    assert run("release", NEW) not in {0, *FOR_GOOD}
    assert "No space left on device" in capsys.readouterr().err
    assert app.paths.attempt.exists()
    script = files("gpuhost.remote").joinpath("release_begin.sh").read_text("utf-8")
    statuses = " ".join(map(str, sorted(FOR_GOOD)))
    assert f'RestartPreventExitStatus="{statuses}"' in script
    assert f"RestartPreventExitStatus={statuses}\n" in resume_unit()


def test_a_backup_that_is_not_made_is_no_success(
    app: App, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    assert run("backup") == 4
    said = capsys.readouterr().err
    assert f"no backup was made: still in progress: release {NEW} by ada@desk" in said
