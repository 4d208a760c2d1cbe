"""The runner's commands: how each ends, and what it finds to be finished first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files

import pytest

from gpuhost.release.deliver import resume_unit
from gpuhost.runner import __main__ as entry
from gpuhost.runner import result
from gpuhost.runner.lock import Attempt, begin, lock
from gpuhost.runner.plan import Backup
from gpuhost.runner.release import Release
from gpuhost.runner.result import RESTORED, VERIFIED, Result
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
        result.write(release, ended(release))
        return ended(release)


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Carried:
    made = Carried()
    monkeypatch.setattr(entry, "carry_out", made.out)
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
    begin(app.paths, Attempt("release", NEW, "ada@desk", 0.0))
    assert run("resume") == 0
    assert (carried.ids, app.paths.attempt.exists()) == ([NEW], False)


def test_the_second_of_two_is_refused_with_the_firsts_name(
    app: App, run: Run, carried: Carried, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(NEW)
    begin(app.paths, Attempt("release", OLD, "ada@desk", 0.0))
    with lock(app.paths):
        assert run("release", NEW) == 4
    assert f"another is at it: release {OLD} by ada@desk" in capsys.readouterr().err
    assert carried.ids == []


@pytest.mark.parametrize(
    ("state", "is_under_way", "kept"),
    [(VERIFIED, True, [NEW]), (RESTORED, True, []), (VERIFIED, False, [])],
)
def test_cut_off_after_its_result_what_follows_from_it_is_done_all_the_same(
    app: App, run: Run, carried: Carried, state: str, is_under_way: bool, kept: list[str]
) -> None:
    release = app.release(NEW)
    result.write(release, ended(release, state))
    if is_under_way:
        begin(app.paths, Attempt("release", NEW, "ada@desk", 0.0))
    assert run("release", NEW) == (0 if state == VERIFIED else 1)
    assert (carried.kept, carried.ids, app.paths.attempt.exists()) == (kept, [], False)


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
    script = files("gpuhost.operations").joinpath("release_begin.sh").read_text("utf-8")
    statuses = " ".join(map(str, sorted(FOR_GOOD)))
    assert f'RestartPreventExitStatus="{statuses}"' in script
    assert f"RestartPreventExitStatus={statuses}\n" in resume_unit()


def test_a_backup_that_is_not_made_is_no_success(
    app: App, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    begin(app.paths, Attempt("release", NEW, "ada@desk", 0.0))
    assert run("backup") == 4
    said = capsys.readouterr().err
    assert f"no backup was made, this has not ended: release {NEW} by ada@desk" in said
