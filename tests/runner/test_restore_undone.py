"""A restore that is undone as the app is not good with it, and one that was cut off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpuhost.runner.contract import Operation, Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write, write_json
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages import activation, restore_stages
from gpuhost.runner.stages import restore as entry
from gpuhost.runner.stages.restore import paths, restore
from gpuhost.runner.state import operations
from tests.runner.at_hand import NEW, App, Programs, app, programs
from tests.runner.restore_at_hand import (
    NOW,
    THEN,
    Activation,
    Cut,
    a_backup,
    activated,
    left_over,
    said,
    set_aside,
    state,
)

__all__ = ["activated", "app", "programs"]

BAD = Failure("web: exited with 1", output=("no such column",), fix="look at it")


def test_an_app_that_is_not_good_with_it_gets_its_data_back(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD]
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.restored, ended.said) == ("restored", NEW, BAD.said)
    assert (ended.output, ended.fix) == (BAD.output, BAD.fix)
    assert activated.seen == ["then", "now"]
    assert (state(app), left_over(app), set_aside(app)) == (NOW, [], [])


def test_an_app_that_is_not_good_with_either_is_said_loudly_and_can_be_tried_again(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD, Failure("db is gone")]
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.said, ended.restore_said) == (
        "restore-failed",
        BAD.said,
        "db is gone",
    )
    assert "COULD NOT BE RESTORED: db is gone" in paths(app.paths, name).log.read_text()
    other = restore(app.paths, "20260101-000000-schedule", "ada")
    assert (other.state, name in other.said) == ("failed", True)
    assert restore(app.paths, name, "ada").state == "restored"
    assert (state(app), left_over(app)) == (NOW, [])


def test_a_failed_migration_is_undone_too(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app, migrate=Migrate("migrate"))
    programs.compose({"migrate": {}})
    programs.answer("docker container inspect *", status=1)
    programs.answer("docker compose * run *", status=1)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app)) == ("restored", NOW)
    assert "migration" in ended.said


class Cutter:
    """Kills the runner before one of the renamings that a restore is made of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.count = 0
        real = Path.rename

        def rename(path: Path, target: Path) -> Path:
            self.count += 1
            if self.count == at:
                raise Cut
            return real(path, target)

        monkeypatch.setattr(Path, "rename", rename)


def to_the_end(app: App, name: str) -> Result:
    while True:
        try:
            return restore(app.paths, name, "ada")
        except Cut:
            continue


# How many renamings there are, files that are written among them.
GOOD, UNDONE = 14, 22


@pytest.mark.parametrize(
    ("at", "is_good"),
    [(at, True) for at in range(1, GOOD + 2)] + [(at, False) for at in range(1, UNDONE + 2)],
)
def test_it_can_be_cut_off_anywhere(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch, at: int, is_good: bool
) -> None:
    name = a_backup(app)
    wrong = None if is_good else BAD
    monkeypatch.setattr(activation, "activate", lambda release: _bad_with_then(app, wrong))
    with monkeypatch.context() as patched:
        cutter = Cutter(patched, at)
        ended = to_the_end(app, name)
    # The last one of each is cut nowhere: the others were all there are.
    uncut = GOOD if is_good else UNDONE
    assert (cutter.count == uncut) == (at > uncut)
    assert (ended.state, state(app)) == (("verified", THEN) if is_good else ("restored", NOW))
    assert left_over(app) == []
    expected = ["app.db", "app.db-wal", "audio", "settings.json"] if is_good else []
    assert set_aside(app) == expected


@pytest.mark.parametrize(
    ("step", "wrong", "expected"),
    [
        ("staging", [], ("failed", NOW)),
        ("exchanging", [], ("verified", THEN)),
        ("exchanging", [BAD], ("restored", NOW)),
    ],
)
def test_the_data_is_whole_again_even_without_the_backup(
    app: App,
    activated: Activation,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    wrong: list[Exception],
    expected: tuple[str, object],
) -> None:
    name = a_backup(app)
    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(restore_stages, "stage" if step == "staging" else "_stop_app", _killed)
        restore(app.paths, name, "ada")
    assert json.loads(app.paths.restoring.read_text())["step"] == step
    shutil.rmtree(app.paths.backups / name)
    activated.wrong = wrong
    ended = restore(app.paths, name, "ada")
    assert ((ended.state, state(app)), left_over(app)) == (expected, [])


def test_cut_off_after_the_result_it_is_cleared_away_all_the_same(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    operations.begin(app.paths, Operation("restore", name, "ada", 1234.5))
    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(entry, "write_json", _killed_after_the_result)
        restore(app.paths, name, "ada")
    assert left_over(app) == ["restore"]
    assert restore(app.paths, name, "ada").state == "verified"
    assert left_over(app) == []


def _killed(*_: object) -> None:
    raise Cut


def _killed_after_the_result(path: Path, value: Mapping[str, object], *, mode: int = 0o644) -> None:
    write_json(path, value, mode=mode)
    if path.name == "result.json":
        raise Cut


def _bad_with_then(app: App, wrong: Failure | None) -> None:
    if wrong and said(app) == "then":
        raise wrong


def test_a_damaged_state_file_is_not_taken_for_a_restore(app: App, activated: Activation) -> None:
    name = a_backup(app)
    (app.paths.home / "restore").mkdir()
    write(app.paths.home / "restore/state.json", "{}")
    assert restore(app.paths, name, "ada").state == "verified"
