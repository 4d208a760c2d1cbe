"""Random verbs on a small app, each cut off, or hit by an error or a jump of the clock, anywhere.

After each: nothing that the app has acknowledged is lost, no lock stays, nothing is in progress;
the next verb works or says what to do. `GPUHOST_SEEDS` is how many sequences are tried.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gpuhost.runner import __main__ as entry
from gpuhost.runner.data import schedule, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan
from gpuhost.runner.site import certificates
from gpuhost.runner.stages import activation, first_release, transaction
from gpuhost.runner.stages.first_release import Left
from gpuhost.runner.stages.restore_state import read_state
from gpuhost.runner.state import operations, releases
from gpuhost.runner.state.lock import is_locked
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs
from tests.runner.restore_fixtures import ALL, DB, Cut
from tests.runner.transaction_fixtures import Stages, stages

__all__ = ["app", "programs", "stages"]

SEEDS = int(os.environ.get("GPUHOST_SEEDS", "12"))
STEPS = 7
YEAR = 365 * 86_400
# Calls that change a file system.
CHANGING = ("rename", "unlink", "rmdir", "mkdir", "symlink", "link", "truncate", "fsync", "open")
VERBS = (
    *("release", "release", "rollback", "backup", "abort", "resume", "remove"),
    *("restore",) * 6,
)
# The statuses of a verb that has ended: it need not be tried again.
ENDED = (entry.GOOD, entry.FAILED, entry.USAGE, entry.UNRESTORED, entry.LOCKED)


@dataclass
class Faults:
    """What happens at the n-th changing call.

    + kind: "kill", "EIO", "ENOSPC", "jump"; "": nothing
    """

    kind: str = ""
    at: int = 0
    count: int = 0
    killed: bool = False
    offset: float = 0.0

    def arm(self, kind: str, at: int) -> None:
        self.kind, self.at, self.count, self.killed = kind, at, 0, False

    def call(self, real: Callable[..., Any], name: str, *words: Any, **more: Any) -> Any:
        is_reading = name == "open" and not words[1] & (os.O_WRONLY | os.O_RDWR)
        if self.kind and not is_reading:
            self.count += 1
            if self.killed:
                # What cleans up after a kill does not run either.
                raise Cut
            if self.count == self.at:
                self._happen()
            elif self.kind == "ENOSPC" and self.count > self.at and name in ("open", "mkdir"):
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(*words, **more)

    def _happen(self) -> None:
        if self.kind == "kill":
            self.killed = True
            raise Cut
        if self.kind == "jump":
            self.offset += random.choice((YEAR, -YEAR, 86_400, -86_400))
        else:
            raise OSError(getattr(errno, self.kind), self.kind)


@dataclass
class Host:
    app: App
    stages: Stages
    faults: Faults
    choice: random.Random
    monkeypatch: pytest.MonkeyPatch
    written: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    number: int = 0
    # How many of the next activations fail.
    sick: int = 0

    def run(self, *words: str) -> int | None:
        """None: the runner was killed."""
        verb, *rest = words
        arguments = ["runner.pyz", verb, str(self.app.paths.home), *rest]
        self.monkeypatch.setattr(sys, "argv", arguments)
        try:
            return entry.main()
        except Cut:
            return None

    def activate(self, release: Release) -> None:
        if self.sick:
            self.sick -= 1
            raise Failure("web: exited with 1")

    def write(self) -> None:
        """The app acknowledges something new: in a file, and in its database."""
        word = f"word{len(self.written)}"
        self.written.append(word)
        file = self.app.paths.shared / "settings.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as text:
            text.write(f"{word}\n")
        (file.parent / DB).parent.mkdir(exist_ok=True)
        (file.parent / "public/audio").mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file.parent / DB)) as opened:
            opened.execute("PRAGMA journal_mode=wal")
            opened.execute("CREATE TABLE IF NOT EXISTS said (text TEXT)")
            opened.execute("INSERT INTO said VALUES (?)", (word,))
            opened.commit()

    def kept(self) -> tuple[set[str], set[str]]:
        """What is anywhere in a copy of the file, and in one of the database."""
        home = self.app.paths.home
        texts = [path.read_text() for path in home.rglob("settings.json") if path.is_file()]
        rows = [row for path in home.rglob("app.db") if path.is_file() for row in _rows(path)]
        return {word for text in texts for word in text.split()}, set(rows)

    def step(self) -> None:
        """One verb, with or without a fault; then what systemd does after an interruption."""
        verb = self.choice.choice(VERBS)
        kind = self.choice.choice(("", "kill", "kill", "EIO", "ENOSPC", "jump"))
        self.sick = self.choice.choice((0, 0, 0, 1, 2))
        words = self.words(verb)
        self.log.append(f"{' '.join(words)} ({kind or 'no fault'}, sick {self.sick})")
        self.faults.arm(kind, self.choice.randint(1, 90))
        status = self.run(*words)
        self.log.append(f"  {status} after {self.faults.count} calls")
        self.faults.arm("", 0)
        if status not in ENDED and (self.app.paths.attempt.exists() or verb == "release"):
            again = self.run(*words) if verb in ("release", "rollback") else self.run("resume")
            self.log.append(f"  again {again}")
            assert again in ENDED, self.log

    def words(self, verb: str) -> tuple[str, ...]:
        self.number += 1
        id_ = f"20260102-{self.number:06d}-bbbbbbbb"
        if verb == "release":
            self.release(id_)
            return ("release", id_)
        if verb == "rollback":
            known = releases.in_order(self.app.paths) or ["none"]
            return ("rollback", id_, "--to", self.choice.choice(known), "--by", "ada")
        if verb == "restore":
            names = [backup.name for backup in stored.complete(self.app.paths)] or ["none"]
            return ("restore", self.choice.choice(names), "--by", "ada")
        return (verb, "--by", "ada") if verb in ("abort", "remove") else (verb,)

    def release(self, id_: str) -> None:
        home = self.app.paths.release(id_).home
        home.mkdir(parents=True)
        plan = Plan("app", id_, id_, "ada@desk", "app", "r", backup=ALL)
        (home / "plan.json").write_text(plan.text())
        shutil.copy(self.app.paths.home.with_name("resolved.json"), home / "resolved.json")

    def check(self) -> None:
        files, rows = self.kept()
        missing = [word for word in self.written if word not in files or word not in rows]
        assert missing == [], self.log
        assert not is_locked(self.app.paths), self.log
        left = operations.unfinished(self.app.paths)
        assert left is None or left.kind == "remove", self.log


def _rows(database: Path) -> list[str]:
    """Of a copy: to open it would change its files."""
    with TemporaryDirectory() as place:
        for path in database.parent.glob(f"{database.name}*"):
            shutil.copy(path, place)
        with closing(sqlite3.connect(f"{place}/{database.name}")) as opened:
            try:
                return [row[0] for row in opened.execute("SELECT text FROM said")]
            except sqlite3.OperationalError:
                return []


@pytest.fixture
def host(
    app: App,
    programs: Programs,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Host:
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(schedule, "UNITS", tmp_path / "units")
    monkeypatch.setattr(certificates, "LIVE", tmp_path / "live")
    programs.compose({"web": {}})
    programs.answer("docker ps *", "")
    programs.answer("systemctl *")
    faults = Faults()
    made = Host(app, stages, faults, random.Random(request.param), monkeypatch)
    monkeypatch.setattr(activation, "activate", made.activate)
    monkeypatch.setattr(first_release, "undo", lambda release: Left((), ()))
    monkeypatch.setattr(transaction.prune, "prune", lambda release: None)
    monkeypatch.setattr(transaction.prune, "trim", lambda release: None)
    first = app.release("20260101-000000-aaaaaaaa", backup=ALL)
    shutil.copy(first.paths.resolved, tmp_path / "resolved.json")
    for name in CHANGING:
        real = getattr(os, name)

        def changed(*words: Any, real: Any = real, name: str = name, **more: Any) -> Any:
            return faults.call(real, name, *words, **more)

        monkeypatch.setattr(os, name, changed)
    clock, moment = time.time, time.gmtime
    monkeypatch.setattr(time, "time", lambda: clock() + faults.offset)
    monkeypatch.setattr(
        time, "gmtime", lambda *at: moment(at[0] if at else clock() + faults.offset)
    )
    made.write()
    assert made.run("release", "20260101-000000-aaaaaaaa") == entry.GOOD
    assert made.run("backup") == entry.GOOD
    return made


@pytest.mark.parametrize("host", range(SEEDS), indirect=True, ids=lambda seed: f"seed{seed}")
def test_nothing_acknowledged_is_lost_and_the_next_verb_works(host: Host) -> None:
    for _ in range(STEPS):
        host.write()
        host.step()
        host.check()
    host.sick = 0
    # Whatever happened: what a refusal advises, and then a release.
    for _ in range(2):
        status = host.run(*host.words("release"))
        if status == entry.GOOD:
            break
        state = read_state(host.app.paths)
        words = ("restore", state.backup, "--by", "ada") if state else ("resume",)
        host.log.append(f"advice {words} {host.run(*words)}")
    print(*host.log, sep="\n")
    assert status == entry.GOOD, host.log
    host.check()
