"""State files that cannot be read: a verb goes on or gives up with words, not tried for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.journal import BEGIN, END, START, Journal
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id
from tests.runner.host_fixtures import unreadable
from tests.runner.running import Cut, run_runner
from tests.runner.transaction_fixtures import (
    NEW,
    OLD,
    Stages,
    a_release,
    current,
    history,
    with_old,
)

NEWEST = "20260103-000000-cccccccc"
Damage = Callable[[Path], None]


def empty(path: Path) -> None:
    path.write_text("")


def bad_byte(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b'{"a": 1}\n'
    path.write_bytes(b"\xff" + content)


def deep(path: Path) -> None:
    path.write_text('{"a": ' + "[" * 100_000)


def cut_off(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b'{"a": 1}\n'
    path.write_bytes(content[: len(content) // 2])


def other_types(path: Path) -> None:
    path.write_text('{"kind": 7, "id": [], "started": "x", "tags": 7, "state": {}, "sequence": -1}')


def no_object(path: Path) -> None:
    path.write_text("[1]")


def no_number(path: Path) -> None:
    path.write_text('{"kind": "release", "id": "", "by": "", "started": NaN, "sequence": 1e999}')


def a_directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def itself(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def harm(path: Path, damage: Damage) -> None:
    if path.is_symlink():
        path.unlink()
    damage(path)


DAMAGES = (
    *(empty, bad_byte, deep, cut_off, other_types, no_object, no_number, a_directory, itself),
    missing,
)
FILES = (
    *("attempt.json", "abort.json", "current", f"releases/{OLD}/result.json"),
    *(f"releases/{NEW}/{name}" for name in ("journal", "plan.json", "record.json")),
    *(f"releases/{NEW}/{name}" for name in ("result.json", "result.draft.json")),
    *(f"releases/{OLD}/{name}" for name in ("plan.json", "record.json")),
)


def interrupted(app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that was interrupted in its undo, over a verified one."""
    with_old(app)
    old = Release.open(app, OLD)
    stages.wrong = {"up": Failure("port taken"), f"activate {OLD}": Cut()}
    results.store(old.app, run_transaction(old))
    a_release(app, NEW)
    with pytest.raises(Cut):
        run_runner(monkeypatch, app.home, "release", NEW)
    stages.wrong.clear()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_neither_stops_the_next_verbs_nor_is_tried_for_ever(
    app: AppPaths,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Damage,
) -> None:
    interrupted(app, stages, monkeypatch)
    harm(app.home / name, damage)
    assert run_runner(monkeypatch, app.home, "abort", "--by", "bob") in (0, 1)
    assert run_runner(monkeypatch, app.home, "resume") in (0, 1, 3)
    assert run_runner(monkeypatch, app.home, "status") == 0
    assert "Traceback" not in capsys.readouterr().err
    a_release(app, NEWEST)
    assert run_runner(monkeypatch, app.home, "release", NEWEST) == 0
    assert (current(app), operations.begun(app)) == (NEWEST, None)
    # What was interrupted is not forgotten, unless nothing says that it was.
    if (name, damage) != ("attempt.json", missing):
        result = results.read(app.release(NEW).result)
        assert result and result.state in ("restored", "restore-failed")


@pytest.mark.parametrize("damage", [itself, a_directory, missing, no_object])
def test_current_is_found_again(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, damage: Damage
) -> None:
    with_old(app)
    results.store(app, run_transaction(Release.open(app, OLD)))
    harm(app.current, damage)
    assert current_id(app) == OLD
    stages.wrong = {"up": Failure("port taken")}
    release = a_release(app, NEW)
    ended = run_transaction(release)
    assert (ended.state, ended.restored) == ("restored", OLD)
    stages.wrong.clear()
    a_release(app, NEWEST)
    assert run_runner(monkeypatch, app.home, "release", NEWEST) == 0
    assert (app.current.is_symlink(), current(app)) == (True, NEWEST)


def test_a_release_whose_journal_lost_an_event_is_undone(app: AppPaths, stages: Stages) -> None:
    with_old(app)
    release = a_release(app, NEW)
    journal = Journal(release.paths.journal)
    for event, stage in ((START, ""), (BEGIN, "up"), (END, "up")):
        journal.note(event, stage)
    lines = release.paths.journal.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"begin", b"be\xffin")
    lines[2] = lines[2][:-3] + b"\n"
    release.paths.journal.write_bytes(b"".join(lines))
    ended = run_transaction(Release.open(app, NEW))
    assert (ended.state, ended.restored) == ("restored", OLD)
    assert "its journal is damaged" in ended.said


def test_half_a_line_of_a_power_cut_is_no_damage(app: AppPaths, stages: Stages) -> None:
    release = a_release(app, NEW)
    journal = Journal(release.paths.journal)
    journal.note(START)
    with release.paths.journal.open("a") as file:
        file.write('{"event": "end", "sta')
    for _ in range(2):
        Journal(release.paths.journal).note(START)
    again = Journal(release.paths.journal)
    assert (again.is_damaged, again.starts) == (False, 3)
    assert all(json.loads(line) for line in release.paths.journal.read_text().splitlines())


def test_a_damaged_attempt_is_found_in_the_journals(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(app, stages, monkeypatch)
    app.attempt.write_text("{")
    with monkeypatch.context() as patched:
        patched.setattr(operations, "write_json", cut)
        with pytest.raises(Cut):
            run_runner(monkeypatch, app.home, "resume")
    assert run_runner(monkeypatch, app.home, "resume") == 0
    result = results.read(app.release(NEW).result)
    assert result and (result.state, result.restored, result.by) == ("restored", OLD, "ada@desk")
    assert (app.home / "attempt.json.damaged").exists()


LOST = pytest.mark.parametrize("damage", [bad_byte, empty, a_directory, missing])


@LOST
def test_a_release_that_has_ended_does_not_come_to_life(
    app: AppPaths, stages: Stages, monkeypatch: pytest.MonkeyPatch, damage: Damage
) -> None:
    """Its runner was killed before it could forget it."""
    with_old(app)
    a_release(app, NEW)
    stages.wrong = {"build": Failure("wrong")}
    with monkeypatch.context() as patched:
        patched.setattr(operations, "remove", cut)
        with pytest.raises(Cut):
            run_runner(monkeypatch, app.home, "release", NEW)
    result = app.release(NEW).result
    harm(result, damage)
    stages.done, stages.wrong = [], {}
    with monkeypatch.context() as patched:
        unreadable(patched, result)
        assert run_runner(monkeypatch, app.home, "resume") == Exit.UNFORESEEN
    assert run_runner(monkeypatch, app.home, "resume") == 0
    assert (stages.done, current(app), operations.begun(app)) == ([], OLD, None)
    ended = results.read(result)
    assert ended and (ended.state, ended.said) == ("failed", "wrong")
    assert history(app) == [(NEW, "failed")]


def cut(*_: object) -> None:
    raise Cut


def test_an_interrupted_release_without_its_directory_is_in_the_history(
    app: AppPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.home.mkdir()
    operations.begin(app, Operation("release", NEW, "ada@desk", 7.0))
    assert run_runner(monkeypatch, app.home, "resume") == 0
    assert NEW in app.history.read_text()
    assert not app.attempt.exists()


def test_the_journal_of_an_older_gpuhost_is_read(app: AppPaths, stages: Stages) -> None:
    release = a_release(app, NEW)
    lines = [{"event": "start", "stage": "", "at": 1.5}, {"event": "begin", "stage": "up", "at": 2}]
    release.paths.journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    journal = Journal(release.paths.journal)
    assert (journal.starts, journal.has(BEGIN, "up"), journal.started) == (1, True, 1.5)
    assert (journal.is_damaged, journal.elapsed_s) == (False, 0)
    point(app.current, f"releases/{NEW}")
    assert run_transaction(Release.open(app, NEW)).state == "verified"
