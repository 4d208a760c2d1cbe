"""A restore that is undone as the app fails with its data, and a restore that was interrupted."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import Operation, Result
from gpuhost.runner.data import safe_paths
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write, write_json
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages import activation, engine, restore_exchange, restore_stages
from gpuhost.runner.stages.restore import paths, restore
from gpuhost.runner.state import abort_request, operations, results
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    DB,
    NOW,
    THEN,
    Activation,
    a_backup,
    activated,
    app_data,
    left_over,
    set_aside,
    state,
)
from tests.runner.running import Cut

__all__ = ["activated", "app", "programs"]

BAD = Failure("web: exited with 1", output=("no such column",), fix="look at it")


def test_if_the_app_fails_with_the_backup_its_data_is_restored(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD]
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.restored, ended.said) == ("restored", NEW, BAD.said)
    assert (ended.output, ended.fix) == (BAD.output, BAD.fix)
    assert activated.seen == ["then", "now"]
    assert (state(app), left_over(app), set_aside(app)) == (NOW, [], [])


def test_if_the_app_fails_with_both_a_clear_message_is_logged_and_it_can_be_retried(
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


def test_an_aborted_restore_is_undone(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    operation = Operation("restore", name, "ada@desk", 7.0)
    operations.begin(app.paths, operation)

    def activate(release: Release) -> None:
        """As an activation that runs commands: the next one is not started."""
        activated.activate(release)
        if activated.seen == ["then"]:
            abort_request.request(app.paths, operation, "bob@desk")
        try_run(release.log, "true", seconds=60)

    monkeypatch.setattr(activation, "activate", activate)
    ended = restore(app.paths, name, "ada@desk")
    assert (ended.state, ended.aborted_by) == ("restored", "bob@desk")
    assert activated.seen == ["then", "now"]
    assert (state(app), left_over(app), set_aside(app)) == (NOW, [], [])


def test_an_interrupted_restore_that_is_aborted_is_undone(app: App, activated: Activation) -> None:
    name = a_backup(app)
    operation = Operation("restore", name, "ada@desk", 7.0)
    operations.begin(app.paths, operation)
    activated.wrong = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        restore(app.paths, name, "ada@desk")
    abort_request.request(app.paths, operation, "bob@desk")
    ended = restore(app.paths, name, "ada@desk")
    assert (ended.state, ended.aborted_by) == ("restored", "bob@desk")
    assert activated.seen == ["then", "now"]
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


@pytest.mark.parametrize("times", [1, engine.MAX_UNDO_STARTS])
def test_a_read_error_in_the_undo_is_tried_again(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD]
    real = safe_paths.open_recorded

    def unreadable(*words: Any, **options: Any) -> Any:
        if activated.seen == ["then"]:
            raise OSError(errno.EIO, "Input/output error")
        return real(*words, **options)

    with monkeypatch.context() as patched:
        patched.setattr("gpuhost.runner.data.exchange.open_recorded", unreadable)
        for _ in range(times):
            with pytest.raises(OSError, match="Input/output"):
                restore(app.paths, name, "ada")
    ended = restore(app.paths, name, "ada")
    assert ended.said == BAD.said
    if times == 1:
        assert (ended.state, state(app), left_over(app)) == ("restored", NOW, [])
    else:
        assert ended.state == "restore-failed"
        assert "interrupted 8 times" in ended.restore_said


class Cutter:
    """Kills the runner before one of the renames of a restore."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.count = 0
        real = os.rename

        def rename(*paths: Any, **directories: Any) -> None:
            self.count += 1
            if self.count == at:
                raise Cut
            real(*paths, **directories)

        monkeypatch.setattr(os, "rename", rename)


def run_until_finished(app: App, name: str) -> Result:
    while True:
        try:
            return restore(app.paths, name, "ada")
        except Cut:
            continue


# The number of renames, including those of written files.
GOOD, UNDONE = 14, 25
# The one that moves the first directory aside.
SET_ASIDE = 5


@pytest.mark.parametrize(
    ("at", "is_good"),
    [(at, True) for at in range(1, GOOD + 2)] + [(at, False) for at in range(1, UNDONE + 2)],
)
def test_a_restore_can_be_interrupted_before_any_rename(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch, at: int, is_good: bool
) -> None:
    name = a_backup(app)
    wrong = None if is_good else BAD
    monkeypatch.setattr(activation, "activate", lambda release: _bad_with_then(app, wrong))
    with monkeypatch.context() as patched:
        cutter = Cutter(patched, at)
        ended = run_until_finished(app, name)
    # The last case of each is not interrupted, so the others cover every rename.
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
def test_an_interrupted_restore_needs_no_backup_to_finish(
    app: App,
    activated: Activation,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    wrong: list[Exception],
    expected: tuple[str, object],
) -> None:
    name = a_backup(app)
    with monkeypatch.context() as patched, pytest.raises(Cut):
        at = (restore_stages, "stage") if step == "staging" else (restore_exchange, "stop_app")
        patched.setattr(*at, _killed)
        restore(app.paths, name, "ada")
    assert json.loads(app.paths.restoring.read_text())["step"] == step
    shutil.rmtree(app.paths.backups / name)
    activated.wrong = wrong
    ended = restore(app.paths, name, "ada")
    assert ((ended.state, state(app)), left_over(app)) == (expected, [])


def test_interrupted_after_the_result_a_restore_is_cleaned_up(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    operations.begin(app.paths, Operation("restore", name, "ada", 1234.5))
    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(results, "write_json", _killed_after_the_result)
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
    if wrong and app_data(app) == "then":
        raise wrong


def test_a_damaged_state_file_is_ignored(app: App, activated: Activation) -> None:
    name = a_backup(app)
    (app.paths.home / "restore").mkdir()
    write(app.paths.home / "restore/state.json", "{}")
    assert restore(app.paths, name, "ada").state == "verified"


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_state_of_an_older_gpuhost_is_continued(
    app: App, activated: Activation, moved: int
) -> None:
    """+ moved: how many renames of the first exchange it had done"""
    name = a_backup(app)
    home, shared = app.paths.home / "restore/staged", app.paths.shared
    aside = app.paths.backups / "before-restore-20260101-000000"
    exchanges = []
    for number, path in enumerate(("settings.json", "public/audio", DB), start=1):
        place = home / str(number)
        place.mkdir(parents=True)
        staged = place / Path(path).name
        exchanges.append(asdict(Exchange(str(shared / path), str(staged), str(aside / f"{number}"),
                                         path == DB)))  # fmt: skip
    (home / "1/settings.json").write_text("then")
    (home / "2/audio").mkdir()
    (home / "2/audio/then.mp3").touch()
    shutil.copy(shared / DB, home / "3/app.db")
    manifest = json.loads((app.paths.backups / name / "manifest.json").read_text())
    state_file = {"backup": name, "aside": aside.name, "step": "exchanging", "said": "",
                  "output": [], "fix": "", "aborted_by": "", "exchanges": exchanges,
                  "manifest": manifest}  # fmt: skip
    write_json(app.paths.restoring, state_file)
    if moved:
        (aside / "1").mkdir(parents=True)
        (shared / "settings.json").rename(aside / "1/settings.json")
    if moved > 1:
        (home / "1/settings.json").rename(shared / "settings.json")
    assert restore(app.paths, name, "ada").state == "verified"
    assert (shared / "settings.json").read_text() == "then"
    assert (aside / "1/settings.json").read_text() == "now"
    assert [path.name for path in (shared / "public/audio").iterdir()] == ["then.mp3"]


def test_what_the_app_wrote_during_an_interruption_is_never_overwritten(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of the host starts its containers again, in the middle of the exchange."""
    name = a_backup(app)
    with monkeypatch.context() as patched, pytest.raises(Cut):
        Cutter(patched, SET_ASIDE + 1)
        restore(app.paths, name, "ada")
    audio = app.paths.shared / "public/audio"
    assert not audio.exists()
    app.data("public/audio/meanwhile.mp3", "written meanwhile")
    activated.wrong = [BAD]
    assert restore(app.paths, name, "ada").state == "restored"
    assert state(app) == NOW
    kept = list(app.paths.backups.glob("before-restore-*/*/audio*/meanwhile.mp3"))
    assert [path.read_text() for path in kept] == ["written meanwhile"]
