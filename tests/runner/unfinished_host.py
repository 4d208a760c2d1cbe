"""An app that something was left unfinished on, and the advice that is followed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gpuhost.runner.contract import (
    RELEASE,
    REMOVE,
    RESTORE,
    RESTORE_FAILED,
    ROLLBACK,
    Operation,
    Result,
)
from gpuhost.runner.data import exchange, schedule, scheduled_backup
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates
from gpuhost.runner.stages import carry_out
from gpuhost.runner.stages import restore as restoring
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.state import operations, results, transitions
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.transitions import next_step, rule_of
from tests.runner.ended_result import result_of
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    NOW,
    Activation,
    a_backup,
    activated,
    database,
    state,
)
from tests.runner.running import Cut, run_runner

__all__ = ["activated", "app", "programs"]

NEWEST, BACK = "20260103-000000-cccccccc", "20260104-000000-dddddddd"
HALF = "20260102-120000-eeeeeeee"
BAD = Failure("web: exited with 1")
DOCS = Path(__file__).parents[2] / "docs"


@dataclass
class Host:
    """An app with a backup, and the runner's verbs on it.

    + backup: the name of the backup
    + released: the releases and rollbacks that ran
    + acknowledged: what the app wrote last
    """

    app: App
    activated: Activation
    monkeypatch: pytest.MonkeyPatch
    backup: str
    released: list[str]
    acknowledged: str = "now"

    def run(self, verb: str, *words: str) -> int:
        return run_runner(self.monkeypatch, self.app.paths.home, verb, *words)

    def verb(self, verb: str) -> int:
        """Run a verb of the table."""
        words = {
            RELEASE: ("release", NEWEST),
            ROLLBACK: ("rollback", BACK, "--to", NEW, "--by", "ada"),
            RESTORE: ("restore", self.backup, "--by", "ada"),
            transitions.RESTORE_OTHER: ("restore", self.other, "--by", "ada"),
            transitions.BACKUP: ("backup",),
            REMOVE: ("remove", "--by", "ada"),
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
        self.acknowledged = word
        database(self.app, word, wal=True)
        self.app.data("settings.json", word)


def _row(database: Path) -> str:
    """Of a copy: to open it would change its files."""
    number = database.name.partition("app.db")[2]
    with TemporaryDirectory() as place:
        for ending in ("", "-wal"):
            path = database.with_name(f"app.db{number}{ending}")
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
    release = Release.open(app.paths, NEW)
    release.remember()
    results.store(app.paths, result_of(release))

    def run_transaction(release: Release) -> Result:
        made.released.append(release.plan.id)
        results.store(release.app, result_of(release))
        return result_of(release)

    monkeypatch.setattr(carry_out, "run_transaction", run_transaction)
    wait = scheduled_backup._wait_and_back_up
    monkeypatch.setattr(
        scheduled_backup, "_wait_and_back_up", lambda app, log, _, end: wait(app, log, -1, end)
    )
    return made


def broken(host: Host) -> None:
    """The app fails with the backup's data, and the data from before cannot be moved back."""
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", no_disk)
        assert host.run("restore", host.backup, "--by", "ada") == Exit.UNRESTORED
    assert not host.app.paths.attempt.exists()
    # Somebody has started the app by hand.
    host.write("later")


def no_disk(*_: object) -> None:
    raise OSError(30, "Read-only file system")


def whole(host: Host) -> None:
    """The app works neither with the backup's data nor with the previous one, which is back."""
    host.activated.wrong = [BAD, Failure("db is gone")]
    assert host.run("restore", host.backup, "--by", "ada") == Exit.UNRESTORED
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
    assert host.run("resume") == Exit.FAILED
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and (result.state, "cannot be read" in result.said) == (RESTORE_FAILED, True)


def interrupted_release(host: Host) -> None:
    host.write("later")
    host.app.release(HALF)
    operations.begin(host.app.paths, Operation("release", HALF, "ada", 7.0))


def removal(host: Host) -> None:
    host.write("later")
    operations.begin(host.app.paths, Operation("remove", "", "ada", 7.0))


LEFT: dict[str, Callable[[Host], None]] = {
    transitions.RESTORE_BROKEN: broken,
    transitions.RESTORE_DAMAGED: unreadable,
    transitions.RESTORE_ENDED: whole,
    transitions.RELEASE_INTERRUPTED: interrupted_release,
    transitions.RESTORE_INTERRUPTED: interrupted,
    transitions.REMOVAL_INTERRUPTED: removal,
}


def restore_again(host: Host) -> None:
    assert host.verb(RESTORE) == Exit.FAILED
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and result.state == "restored"


def restore_one(host: Host) -> None:
    assert host.verb(RESTORE) == Exit.GOOD


def move_aside(host: Host) -> None:
    rule = rule_of(transitions.RESTORE_DAMAGED, RELEASE)
    words = next_step(host.app.paths, rule, "").partition("then run ")[2].split()
    subprocess.run(words, check=True)


def roll_back(host: Host) -> None:
    assert host.verb(ROLLBACK) == Exit.GOOD


def boot(host: Host) -> None:
    assert host.verb(transitions.RESUME) == Exit.GOOD


def release_it(host: Host) -> None:
    assert host.verb(RELEASE) == Exit.GOOD


def remove_again(host: Host) -> None:
    assert host.verb(REMOVE) == Exit.GOOD
    host.app.release(NEWEST, is_current=True)
