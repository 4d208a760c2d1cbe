"""Work that one verb left unfinished, and every other verb: the table, refusals, next steps."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gpuhost.runner import __main__ as entry
from gpuhost.runner.contract import RESTORE_FAILED, VERIFIED, AppPaths, Operation, Result
from gpuhost.runner.data import exchange, schedule
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.site import certificates
from gpuhost.runner.stages import carry_out
from gpuhost.runner.stages import restore as restoring
from gpuhost.runner.stages.restore_state import read_state
from gpuhost.runner.state import operations, results, transitions
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.transitions import REFUSE, TABLE, markdown
from tests.runner.ended_result import result_of
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    NOW,
    THEN,
    Activation,
    Cut,
    a_backup,
    activated,
    app_data,
    database,
    state,
)

__all__ = ["activated", "app", "programs"]

NEWEST, BACK = "20260103-000000-cccccccc", "20260104-000000-dddddddd"
BAD = Failure("web: exited with 1")
DOCS = Path(__file__).parents[2] / "docs"


@dataclass
class Host:
    """An app with a backup, and the runner's verbs on it.

    + backup: the name of the backup
    + released: the releases and rollbacks that ran
    """

    app: App
    activated: Activation
    monkeypatch: pytest.MonkeyPatch
    backup: str
    released: list[str]

    def run(self, verb: str, *words: str) -> int:
        arguments = ["runner.pyz", verb, str(self.app.paths.home), *words]
        self.monkeypatch.setattr(sys, "argv", arguments)
        return entry.main()

    def verb(self, verb: str) -> int:
        """Run a verb of the table."""
        words = {
            transitions.RELEASE: ("release", NEWEST),
            transitions.ROLLBACK: ("rollback", BACK, "--to", NEW, "--by", "ada"),
            transitions.RESTORE: ("restore", self.backup, "--by", "ada"),
            transitions.RESTORE_OTHER: ("restore", self.other, "--by", "ada"),
            transitions.BACKUP: ("backup",),
            transitions.REMOVE: ("remove", "--by", "ada"),
            transitions.ABORT: ("abort", "--by", "ada"),
            transitions.RESUME: ("resume",),
        }
        for id_ in (NEWEST, BACK):
            shutil.rmtree(self.app.paths.release(id_).home, ignore_errors=True)
        self.app.release(NEWEST)
        return self.run(*words[verb])

    @property
    def other(self) -> str:
        """Another backup with the same content."""
        name = "20250101-000000-schedule"
        if not (self.app.paths.backups / name).exists():
            shutil.copytree(self.app.paths.backups / self.backup, self.app.paths.backups / name)
        return name

    @property
    def words(self) -> set[str]:
        """Everything that was written and still exists, wherever it is."""
        home = self.app.paths.home
        texts = {path.read_text() for path in home.rglob("settings.json") if path.is_file()}
        return texts | {_row(path) for path in home.rglob("app.db") if path.is_file()}

    @property
    def rows(self) -> set[str]:
        """Of every copy of the database."""
        return {_row(path) for path in self.app.paths.home.rglob("app.db*") if "-" not in path.name}

    def write(self, word: str) -> None:
        """What the app acknowledges."""
        database(self.app, word, wal=True)
        self.app.data("settings.json", word)


def _row(database: Path) -> str:
    """Of a copy: to open it would change its files."""
    number = database.name.partition("app.db")[2]
    with TemporaryDirectory() as place:
        for ending in ("", "-wal"):
            path = database.with_name(f"app.db{ending}{number}")
            if path.exists():
                shutil.copy(path, f"{place}/app.db{ending}")
        with closing(sqlite3.connect(f"{place}/app.db")) as opened:
            return str(opened.execute("SELECT text FROM said").fetchone()[0])


@pytest.fixture
def host(
    app: App,
    programs: Programs,
    activated: Activation,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Host:
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(schedule, "UNITS", tmp_path / "units")
    monkeypatch.setattr(certificates, "LIVE", tmp_path / "live")
    programs.answer("docker ps -aq *")
    programs.answer("systemctl *")
    made = Host(app, activated, monkeypatch, a_backup(app), [])
    results.write(Release.open(app.paths, NEW), result_of(Release.open(app.paths, NEW)))

    def run_transaction(release: Release) -> Result:
        made.released.append(release.plan.id)
        results.write(release, result_of(release))
        return result_of(release)

    monkeypatch.setattr(carry_out, "run_transaction", run_transaction)
    return made


def broken(host: Host) -> None:
    """The app fails with the backup's data, and the data from before cannot be moved back."""
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", _no_disk)
        assert host.run("restore", host.backup, "--by", "ada") == entry.UNRESTORED
    assert not host.app.paths.attempt.exists()
    # Somebody has started the app by hand.
    host.write("later")


def _no_disk(*_: object) -> None:
    raise OSError(5, "Input/output error")


def whole(host: Host) -> None:
    """The app works neither with the backup's data nor with the previous one, which is back."""
    host.activated.wrong = [BAD, Failure("db is gone")]
    assert host.run("restore", host.backup, "--by", "ada") == entry.UNRESTORED
    assert state(host.app) == NOW
    host.write("later")


def interrupted(host: Host) -> None:
    host.activated.wrong = [Cut()]
    with pytest.raises(Cut):
        host.run("restore", host.backup, "--by", "ada")
    host.write("later")


def unreadable(host: Host) -> None:
    interrupted(host)
    host.app.paths.restoring.write_text("{")
    assert host.run("resume") == entry.FAILED
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and (result.state, "cannot be read" in result.said) == (RESTORE_FAILED, True)


def removal(host: Host) -> None:
    host.write("later")
    operations.begin(host.app.paths, Operation("remove", "", "ada", 7.0))


LEFT: dict[str, Callable[[Host], None]] = {
    transitions.RESTORE_BROKEN: broken,
    transitions.RESTORE_UNREADABLE: unreadable,
    transitions.REMOVAL_CUT: removal,
}


def restore_again(host: Host) -> None:
    assert host.verb(transitions.RESTORE) == entry.FAILED
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and result.state == "restored"


def restore_one(host: Host) -> None:
    assert host.verb(transitions.RESTORE) == entry.GOOD


def move_aside(host: Host) -> None:
    command = TABLE[transitions.RESTORE_UNREADABLE][transitions.RELEASE].next
    words = command.format(home=host.app.paths.home).partition("run mv ")[2].split()
    subprocess.run(["mv", *words], check=True)


def release_it(host: Host) -> None:
    assert host.verb(transitions.RELEASE) == entry.GOOD


def remove_again(host: Host) -> None:
    assert host.verb(transitions.REMOVE) == entry.GOOD
    host.app.release(NEWEST, is_current=True)


# Every advice of a refusal, and what a person does who follows it.
FOLLOWED: dict[str, tuple[Callable[[Host], None], ...]] = {
    transitions.RESTORE_AGAIN: (restore_again,),
    transitions.MOVE_ASIDE: (restore_one, move_aside),
    transitions.REMOVE_AGAIN: (release_it, remove_again),
}
REFUSALS = [
    (left, verb, follow)
    for left, rules in TABLE.items()
    for verb, rule in rules.items()
    if rule.do == REFUSE and rule.next != transitions.WAIT
    for follow in FOLLOWED[rule.next]
]


@pytest.mark.parametrize(("left", "verb", "follow"), REFUSALS)
def test_a_refusal_changes_nothing_and_its_advice_loses_nothing(
    host: Host,
    capsys: pytest.CaptureFixture[str],
    left: str,
    verb: str,
    follow: Callable[[Host], None],
) -> None:
    LEFT[left](host)
    before, words = state(host.app), host.words
    assert "later" in words
    capsys.readouterr()
    assert host.verb(verb) == entry.FAILED
    assert (state(host.app), host.released) == (before, [])
    printed = capsys.readouterr().err
    rule, home = TABLE[left][verb], host.app.paths.home
    advice = rule.next.format(id=host.backup, home=home)
    stored = [path.read_text() for path in home.glob("*/*/result.json")]
    assert any(advice in text for text in (printed, *stored))
    follow(host)
    assert host.words >= words
    host.released.clear()
    if follow is not remove_again:
        assert host.verb(verb) == entry.GOOD
    assert host.words >= words


def test_a_release_over_a_half_undone_restore_is_refused(host: Host) -> None:
    broken(host)
    assert host.verb(transitions.RELEASE) == entry.FAILED
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
    [transitions.RELEASE, transitions.ROLLBACK, transitions.BACKUP, transitions.REMOVE,
     transitions.RESTORE_OTHER],
)  # fmt: skip
def test_after_a_restore_whose_data_is_whole_every_verb_goes_on(host: Host, verb: str) -> None:
    whole(host)
    words = host.words
    assert host.verb(verb) == entry.GOOD
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


@pytest.mark.parametrize("verb", [transitions.RELEASE, transitions.ROLLBACK, transitions.REMOVE])
def test_an_interrupted_restore_is_finished_first(host: Host, verb: str) -> None:
    interrupted(host)
    assert host.verb(verb) == entry.GOOD
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and result.state == VERIFIED
    assert app_data(host.app) == "later"


def test_a_release_is_refused_if_the_interrupted_restore_cannot_be_undone(host: Host) -> None:
    interrupted(host)
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", _no_disk)
        assert host.verb(transitions.RELEASE) == entry.FAILED
    assert host.released == []
    refused = results.read(host.app.paths.release(NEWEST).result)
    assert refused and f"restore {host.backup} again" in refused.fix


def test_a_restore_of_another_backup_that_does_not_exist_ends_nothing(host: Host) -> None:
    whole(host)
    assert host.run("restore", "20200101-000000-schedule", "--by", "ada") == entry.FAILED
    left = read_state(host.app.paths)
    assert left and left.backup == host.backup


def test_an_interrupted_release_gives_way_to_a_removal(host: Host) -> None:
    operations.begin(host.app.paths, Operation("release", NEWEST, "ada", 7.0))
    assert host.verb(transitions.REMOVE) == entry.GOOD
    assert host.released == []
    assert not host.app.paths.attempt.exists()


def test_an_unfinished_copy_survives_a_removal(host: Host) -> None:
    write_json(host.app.paths.copying, {"models": NEW})
    assert host.verb(transitions.REMOVE) == entry.GOOD
    assert host.app.paths.copying.exists()


def test_an_undo_that_fails_half_way_continues_where_it_ended(host: Host) -> None:
    real = exchange.Exchange.undo

    def undo(one: exchange.Exchange, app: AppPaths) -> None:
        if one.target.endswith("settings.json"):
            _no_disk()
        real(one, app)

    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", undo)
        assert host.run("restore", host.backup, "--by", "ada") == entry.UNRESTORED
    assert state(host.app) == ("now", *THEN[1:])
    host.app.data("settings.json", "later")
    assert host.verb(transitions.RELEASE) == entry.FAILED
    restore_again(host)
    assert (state(host.app), "later" in host.words) == (NOW, True)


RENAMES, APART = 8, 4


@pytest.mark.parametrize("at", range(1, RENAMES + 2))
def test_an_undo_that_fails_at_any_rename_loses_nothing(host: Host, at: int) -> None:
    real, undo, count = os.rename, exchange.Exchange.undo, 0

    def rename(*words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            _no_disk()
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
    assert (status == entry.FAILED) == (at > RENAMES)
    # The app is started by hand on what is in place, and overwrites that only.
    host.write("later")
    if status == entry.UNRESTORED:
        restore_again(host)
    databases = [path for path in host.app.paths.home.rglob("app.db*") if path.is_file()]
    assert any(b"later" in path.read_bytes() for path in databases)
    # Between the previous database and its log, the app starts on a database without its log.
    assert at == APART or "later" in host.rows
    assert "later" in {path.read_text() for path in host.app.paths.home.rglob("settings.json*")}


def test_two_restores_with_the_same_time_do_not_mix_what_they_set_aside(host: Host) -> None:
    """The clock was set back between them."""
    frozen = time.gmtime(1795300000)
    host.monkeypatch.setattr(time, "gmtime", lambda *seconds: frozen)
    restore_one(host)
    host.write("later")
    host.activated.wrong = [BAD]
    assert host.verb(transitions.RESTORE) == entry.FAILED
    assert state(host.app) == ("later", ["then.mp3"], "later")
    assert host.words >= {"now", "then", "later"}


def test_restored_data_that_the_app_wrote_to_is_kept_by_the_undo(host: Host) -> None:
    def activate(release: Release) -> None:
        if app_data(host.app) == "then":
            host.write("acknowledged")
            raise BAD

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    assert host.run("restore", host.backup, "--by", "ada") == entry.FAILED
    assert (state(host.app), "acknowledged" in host.words) == (NOW, True)


def test_every_state_has_a_rule_for_every_verb_and_every_refusal_a_next_step() -> None:
    for rules in TABLE.values():
        assert set(rules) == set(transitions.VERBS)
        assert all(bool(rule.next) == (rule.do == REFUSE) for rule in rules.values())
    assert set(LEFT) == {left for left, _, _ in REFUSALS}


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    assert markdown() in (DOCS / "architecture.md").read_text(encoding="utf-8")
