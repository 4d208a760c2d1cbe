"""Work that one verb left unfinished, and what another one makes of it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from gpuhost.rollout.outcome import report
from gpuhost.runner.contract import (
    RELEASE,
    REMOVE,
    RESTORE,
    RESTORE_FAILED,
    ROLLBACK,
    VERIFIED,
    AppPaths,
    Operation,
    state_files,
)
from gpuhost.runner.data import exchange
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.stages import restore as restoring
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.engine import MAX_STARTS, MAX_UNDO_STARTS
from gpuhost.runner.stages.restore_state import read_state
from gpuhost.runner.state import operations, results, transitions
from gpuhost.runner.state.lock import lock
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, app, programs, unreadable
from tests.runner.restore_fixtures import (
    NOW,
    THEN,
    activated,
    app_data,
    state,
)
from tests.runner.running import Cut
from tests.runner.unfinished_host import (
    BAD,
    NEWEST,
    Host,
    broken,
    host,
    interrupted,
    no_disk,
    release_it,
    removal,
    restore_again,
    restore_one,
    whole,
)

__all__ = ["activated", "app", "host", "programs"]


def test_a_release_over_a_half_undone_restore_is_refused(host: Host) -> None:
    broken(host)
    assert host.verb(RELEASE) == Exit.FAILED
    refused = results.read(host.app.paths.release(NEWEST).result)
    assert refused and (refused.state, refused.revision) == ("failed", "r")
    assert "the undo of a restore failed" in refused.said
    assert f"restore {host.backup} again" in refused.fix
    restore_again(host)
    assert state(host.app) == NOW
    (undone,) = host.app.paths.backups.glob("undone-restore-*")
    kept = {path.name for path in undone.rglob("*") if path.is_file()}
    assert kept == {"app.db", "app.db-wal", "settings.json", "then.mp3"}
    assert not host.app.paths.restore.exists()
    release_it(host)


@pytest.mark.parametrize(
    "verb",
    [RELEASE, ROLLBACK, transitions.BACKUP, REMOVE,
     transitions.RESTORE_OTHER],
)  # fmt: skip
def test_after_a_restore_whose_data_is_whole_every_verb_goes_on(host: Host, verb: str) -> None:
    whole(host)
    words = host.words
    assert host.verb(verb) == Exit.GOOD
    assert not host.app.paths.restore.exists()
    assert host.words >= words
    if verb != transitions.RESTORE_OTHER:
        assert app_data(host.app) == "later"


def test_if_only_the_app_failed_the_same_restore_verifies_it_with_the_previous_data(
    host: Host,
) -> None:
    whole(host)
    restore_again(host)
    assert (app_data(host.app), host.words >= {"then", "later"}) == ("later", True)


@pytest.mark.parametrize("verb", [RELEASE, ROLLBACK, REMOVE])
def test_an_interrupted_restore_is_finished_first(host: Host, verb: str) -> None:
    interrupted(host)
    assert host.verb(verb) == Exit.GOOD
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and result.state == VERIFIED
    assert app_data(host.app) == "later"


@pytest.mark.parametrize("text", ["{", None], ids=["damaged", "missing"])
def test_a_restore_that_has_ended_is_not_done_again(host: Host, text: str | None) -> None:
    """Its runner was killed before it could forget it, and the app has written since."""
    with host.monkeypatch.context() as patched:
        patched.setattr(operations, "remove", no_disk)
        assert host.verb(RESTORE) == Exit.UNFORESEEN
    host.write("later")
    result = restoring.paths(host.app.paths, host.backup).result
    result.write_text(text) if text else result.unlink()
    with host.monkeypatch.context() as patched:
        unreadable(patched, result)
        assert host.verb(transitions.RESUME) == Exit.UNFORESEEN
    assert host.verb(transitions.RESUME) == Exit.GOOD
    assert (app_data(host.app), operations.begun(host.app.paths)) == ("later", None)
    ended = results.read(result)
    assert ended and ended.verified
    assert len(host.app.paths.history.read_text().splitlines()) == 2


def test_a_release_is_refused_if_the_interrupted_restore_cannot_be_undone(host: Host) -> None:
    interrupted(host)
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", no_disk)
        assert host.verb(RELEASE) == Exit.FAILED
    assert host.released == []
    refused = results.read(host.app.paths.release(NEWEST).result)
    assert refused and f"restore {host.backup} again" in refused.fix
    # The restore has changed something before the refusal.
    told = " ".join((refused.said, *(line.text for line in report(refused, host="h", home="/"))))
    assert "refused: the undo of a restore failed" in told
    assert "nothing was changed" not in told
    assert "the release itself changed nothing" in told
    assert "still runs" not in told


def test_a_refused_restore_has_a_result(host: Host) -> None:
    removal(host)
    assert host.verb(RESTORE) == Exit.FAILED
    refused = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert refused and (refused.state, refused.said) == (
        "failed",
        "refused: a removal was interrupted",
    )
    assert "remove it again" in refused.fix


def test_a_removal_in_progress_is_not_called_interrupted(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    removal(host)
    with lock(host.app.paths):
        assert host.verb(transitions.ABORT) == Exit.FAILED
    said = capsys.readouterr().err
    assert "a removal is in progress, and cannot be aborted" in said
    assert not host.app.paths.abort.exists()


def test_a_removal_is_aborted_with_the_restore_that_it_first_finishes(host: Host) -> None:
    interrupted(host)
    words = host.words

    def activate(release: Release) -> None:
        assert host.run("abort", "--by", "bob") == Exit.GOOD
        abort.check()

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    assert host.verb(REMOVE) == Exit.FAILED
    assert host.app.paths.release(NEWEST).home.is_dir()
    assert not host.app.paths.attempt.exists()
    assert host.words >= words


def test_a_restore_of_another_backup_that_does_not_exist_ends_nothing(host: Host) -> None:
    whole(host)
    assert host.run("restore", "20200101-000000-schedule", "--by", "ada") == Exit.FAILED
    left = read_state(host.app.paths)
    assert left and left.backup == host.backup


def test_an_interrupted_release_gives_way_to_a_removal(host: Host) -> None:
    operations.begin(host.app.paths, Operation("release", NEWEST, "ada", 7.0))
    assert host.verb(REMOVE) == Exit.GOOD
    assert host.released == []
    assert not host.app.paths.attempt.exists()


def test_an_unfinished_copy_survives_a_removal(host: Host) -> None:
    write_json(host.app.paths.copying, {"models": NEW})
    assert host.verb(REMOVE) == Exit.GOOD
    assert host.app.paths.copying.exists()


def test_an_undo_that_fails_for_one_path_continues_with_it(host: Host) -> None:
    real = exchange.Exchange.undo

    def undo(one: exchange.Exchange, app: AppPaths) -> None:
        if one.target.endswith("settings.json"):
            no_disk()
        real(one, app)

    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", undo)
        assert host.run("restore", host.backup, "--by", "ada") == Exit.UNRESTORED
    # The others are undone all the same.
    assert state(host.app) == (*NOW[:2], "then")
    host.app.data("settings.json", "later")
    assert host.verb(RELEASE) == Exit.FAILED
    restore_again(host)
    assert (state(host.app), "later" in host.words) == (NOW, True)


RENAMES = 6


@pytest.mark.parametrize("at", range(1, RENAMES + 2))
def test_an_undo_that_fails_at_any_rename_loses_nothing(host: Host, at: int) -> None:
    real, undo, count = os.rename, exchange.Exchange.undo, 0

    def rename(*words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            no_disk()
        real(*words, **more)

    def undo_once(one: exchange.Exchange, app: AppPaths) -> None:
        with host.monkeypatch.context() as patched:
            patched.setattr(os, "rename", rename)
            undo(one, app)

    def activate(release: Release) -> None:
        if not count and (host.app.paths.shared / "settings.json").read_text() == "then":
            host.write("during")
            raise BAD

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", undo_once)
        status = host.run("restore", host.backup, "--by", "ada")
    assert (status == Exit.FAILED) == (at > RENAMES)
    # The app is started by hand on what is in place, and overwrites that only.
    host.write("later")
    if status == Exit.UNRESTORED:
        restore_again(host)
    databases = [path for path in host.app.paths.home.rglob("app.db*") if path.is_file()]
    assert any(b"later" in path.read_bytes() for path in databases)
    assert "later" in host.rows
    assert "later" in {path.read_text() for path in host.app.paths.home.rglob("settings.json*")}


def test_two_restores_with_the_same_time_do_not_mix_what_they_set_aside(host: Host) -> None:
    """The clock was set back between them."""
    frozen = time.gmtime(1795300000)
    host.monkeypatch.setattr(time, "gmtime", lambda *seconds: frozen)
    restore_one(host)
    host.write("later")
    host.activated.wrong = [BAD]
    assert host.verb(RESTORE) == Exit.FAILED
    assert state(host.app) == ("later", ["then.mp3"], "later")
    assert host.words >= {"now", "then", "later"}


def test_restored_data_that_the_app_wrote_to_is_kept_by_the_undo(host: Host) -> None:
    def activate(release: Release) -> None:
        if app_data(host.app) == "then":
            host.write("acknowledged")
            raise BAD

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    assert host.run("restore", host.backup, "--by", "ada") == Exit.FAILED
    assert (state(host.app), "acknowledged" in host.words) == (NOW, True)


def _no_room(*_: object) -> None:
    raise Failure("no room")


def test_a_restore_that_ended_and_was_not_tidied_up_is_done_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "end_restore", _no_room)
        assert host.verb(RESTORE) == Exit.GOOD
        host.write("days later")
        # The controller does, before each restore.
        restoring.paths(host.app.paths, host.backup).result.unlink()
        assert host.verb(RESTORE) == Exit.FAILED
    assert state(host.app) != THEN
    assert host.verb(RESTORE) == Exit.GOOD
    assert state(host.app) == THEN
    assert "days later" in host.words


def test_an_abort_of_a_restore_whose_state_is_damaged_is_refused(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(host)
    host.app.paths.restoring.write_text("{")
    assert host.verb(transitions.ABORT) == Exit.FAILED
    assert "refused: the state of a restore cannot be read" in capsys.readouterr().err
    assert not host.app.paths.abort.exists()


def test_a_restore_that_kills_its_runner_each_time_is_undone(host: Host) -> None:
    host.activated.wrong = [Cut() for _ in range(MAX_STARTS)]
    for verb in (RESTORE, *[transitions.RESUME] * (MAX_STARTS - 1)):
        with pytest.raises(Cut):
            host.verb(verb)
    host.verb(transitions.RESUME)
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and (result.state, result.said) == (
        "restored",
        f"the runner was interrupted {MAX_STARTS} times",
    )
    assert state(host.app) == NOW


def cut(*_: object) -> None:
    raise Cut


def test_an_undo_of_a_restore_that_kills_its_runner_is_given_up_until_a_person_goes_on(
    host: Host,
) -> None:
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", cut)
        for verb in (RESTORE, *[transitions.RESUME] * (MAX_UNDO_STARTS - 1)):
            with pytest.raises(Cut):
                host.verb(verb)
        assert host.verb(transitions.RESUME) == Exit.FAILED
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and (result.state, operations.begun(host.app.paths)) == (RESTORE_FAILED, None)
    restore_again(host)
    assert state(host.app) == NOW


@pytest.mark.parametrize("name", ["attempt.json", "state.json"])
@pytest.mark.parametrize("verb", [transitions.RESUME, transitions.BACKUP, RELEASE, RESTORE])
def test_what_cannot_be_read_once_is_not_damaged(host: Host, verb: str, name: str) -> None:
    """A read error of the disk: the same verb again goes on with what was left."""
    interrupted(host)
    read, errors = state_files.read_state, [OSError(errno.EIO, "Input/output error")]

    def read_with_error(path: Path) -> bytes:
        if path.name == name and errors:
            raise errors.pop()
        return read(path)

    before = host.words
    host.monkeypatch.setattr(state_files, "read_state", read_with_error)
    assert host.verb(verb) == Exit.UNFORESEEN
    assert operations.begun(host.app.paths) is not None
    assert not list(host.app.paths.home.glob("*damaged*"))
    assert host.verb(verb) == (Exit.LOCKED if verb == transitions.BACKUP else Exit.GOOD)
    assert before <= host.words
