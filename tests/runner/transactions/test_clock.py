"""The wall clock is set while a release runs: no duration, no limit and no order depends on it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.rollout.outcome import report
from gpuhost.runner.contract import AppPaths, Result
from gpuhost.runner.data.scheduled_backup import run_scheduled
from gpuhost.runner.lib import boot_time
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import results
from gpuhost.runner.state.journal import BEGIN, END, START, Journal
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id, in_order, next_number
from tests.runner.running import Cut
from tests.runner.transaction_fixtures import ALL, NEW, OLD, Stages, a_release, current, with_old

DAY, YEAR = 86_400.0, 365 * 86_400.0


class Clock:
    """The host's clocks. + wall: how far the wall clock was set"""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.up, self.boot = 0.0, 1000.0, "first"
        wall, other = time.time, time.clock_gettime
        monkeypatch.setattr(time, "time", lambda: wall() + self.wall)
        monkeypatch.setattr(
            time,
            "clock_gettime",
            lambda clock: self.up if clock == time.CLOCK_BOOTTIME else other(clock),
        )
        monkeypatch.setattr(boot_time, "boot", lambda: self.boot)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def during(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, name: str, clock: Clock, **change: float
) -> None:
    """Change the clocks while this stage runs."""

    class Noting(list[str]):
        def append(self, stage: str) -> None:
            if stage == name:
                for key, value in change.items():
                    setattr(clock, key, getattr(clock, key) + value)
            super().append(stage)

    monkeypatch.setattr(stages, "done", Noting())


@pytest.mark.parametrize("jump", [DAY, -DAY, YEAR, -YEAR])
@pytest.mark.parametrize("stage", ALL)
def test_a_good_release_is_good_whatever_the_wall_clock_does(
    app: AppPaths,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    stage: str,
    jump: float,
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    during(stages, monkeypatch, stage, clock, wall=jump)
    ended = run_transaction(release)
    assert (ended.state, current(app)) == ("verified", NEW)
    way = "forward" if jump > 0 else "back"
    said = release.paths.log.read_text()
    assert f"clock was set {way} by" in said


def test_a_clock_that_is_set_between_two_stages_is_told(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    release = a_release(app, NEW)
    note = Journal.note

    def noting(journal: Journal, event: str, stage: str = "") -> None:
        note(journal, event, stage)
        if (event, stage) == (END, "build"):
            clock.wall += DAY

    monkeypatch.setattr(Journal, "note", noting)
    assert run_transaction(release).verified
    assert release.paths.log.read_text().count("clock was set forward by 86400 s") == 1


def test_a_clock_that_is_set_during_an_undo_is_told(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    with_old(app)
    release = a_release(app, NEW)
    stages.wrong["up"] = Failure("port taken")
    during(stages, monkeypatch, f"activate {OLD}", clock, wall=DAY)
    assert run_transaction(release).state == "restored"
    assert release.paths.log.read_text().count("clock was set forward by 86400 s") == 1


def test_a_clock_that_is_set_during_a_scheduled_backup_is_told(app: AppPaths, clock: Clock) -> None:
    release = a_release(app, NEW)
    numbered(app, NEW, 1)
    release.plan = replace(release.plan, backup=Backup(paths=("data",)))
    release.paths.plan.write_text(release.plan.text())
    point(app.current, f"releases/{NEW}")
    (app.shared / "data").mkdir(parents=True)

    def settle() -> None:
        clock.wall -= DAY

    run_scheduled(app, settle)
    log = (app.backups / "last.log").read_text()
    assert "warning: the host's clock was set back by 86400 s" in log


def test_the_limit_is_of_the_time_since_the_boot(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Also if the wall clock is set back meanwhile."""
    with_old(app)
    release = a_release(app, NEW)
    release.plan = replace(release.plan, limit_s=60)
    during(stages, monkeypatch, "build", clock, up=61.0, wall=-YEAR)
    ended = run_transaction(release)
    assert (ended.state, ended.said) == ("failed", "the release did not end within 60 s")


def test_the_time_between_two_boots_does_not_count(
    app: AppPaths, stages: Stages, clock: Clock
) -> None:
    release = a_release(app, NEW)
    release.plan = replace(release.plan, limit_s=100)
    stages.wrong["build"] = Cut()
    with pytest.raises(Cut):
        run_transaction(release)
    stages.wrong.clear()
    clock.boot, clock.up, clock.wall = "second", 5.0, YEAR
    again = Release.open(app, NEW)
    again.plan = release.plan
    assert run_transaction(again).state == "verified"


def test_the_time_of_each_boot_is_added(tmp_path: Path, clock: Clock) -> None:
    journal = Journal(tmp_path / "journal")
    journal.note(START)
    clock.up += 40
    journal.note(BEGIN, "build")
    clock.boot, clock.up = "second", 7.0
    journal = Journal(tmp_path / "journal")
    journal.note(START)
    clock.up += 5
    assert journal.elapsed_s == 45


def test_the_report_says_how_long_it_really_took(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    during(stages, monkeypatch, "build", clock, up=41.0, wall=YEAR)
    ended = run_transaction(a_release(app, NEW))
    (line, *_) = report(ended, host="h", home="/opt/gpuhost/app")
    assert "verified after 41 s" in line.text
    assert results.read(app.release(NEW).result) == ended


def numbered(app: AppPaths, id_: str, number: int | None, state: str = "verified") -> None:
    release = a_release(app, id_)
    if number is not None:
        release.remember(sequence=number)
    ended = Result(id_, "app", "release", state, "ada", "r", "i", 1.0, 2.0)
    results.store(release.app, ended)


AHEAD, BEHIND, LATER = "20300101-000000-aaaaaaaa", "20200101-000000-bbbbbbbb", NEW


def test_releases_are_in_the_order_in_which_they_began(app: AppPaths) -> None:
    numbered(app, AHEAD, 1)
    numbered(app, BEHIND, 2)
    numbered(app, LATER, 3, "failed")
    assert in_order(app) == [AHEAD, BEHIND, LATER]
    assert (next_number(app), current_id(app)) == (4, BEHIND)


def test_releases_of_an_older_gpuhost_keep_their_place(app: AppPaths) -> None:
    """Those without a number are sorted by id, among the others too."""
    numbered(app, "20250101-000000-aaaaaaaa", None)
    numbered(app, "20250102-000000-aaaaaaaa", None)
    assert in_order(app) == ["20250101-000000-aaaaaaaa", "20250102-000000-aaaaaaaa"]
    assert next_number(app) == 1
    numbered(app, AHEAD, 1)
    numbered(app, "20260101-000000-aaaaaaaa", 2)
    numbered(app, "20260102-000000-aaaaaaaa", None)
    ids = in_order(app)
    assert ids[:2] == ["20250101-000000-aaaaaaaa", "20250102-000000-aaaaaaaa"]
    assert ids[2:] == [AHEAD, "20260101-000000-aaaaaaaa", "20260102-000000-aaaaaaaa"]


def test_a_damaged_number_is_none(app: AppPaths) -> None:
    numbered(app, OLD, 1)
    numbered(app, NEW, 2)
    record = app.release(NEW).record
    for text in ("{", json.dumps({"sequence": "x"}), json.dumps({"sequence": True})):
        record.write_text(text)
        assert in_order(app) == [OLD, NEW]
