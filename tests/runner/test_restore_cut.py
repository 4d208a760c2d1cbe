"""A power cut before any change of a restore of a SQLite database; the app starts with the host."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.data import backup
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.restore import restore
from gpuhost.runner.state import abort_request, operations
from tests.runner.host_fixtures import NEW, App, app, programs
from tests.runner.restore_fixtures import DB, Activation, activated
from tests.runner.running import Cut

__all__ = ["activated", "app", "programs"]

# More changes of names than a restore with its undo has.
MOST = 40


class Cutter:
    """Kills the runner before changes of names, by their numbers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *at: int) -> None:
        self.count, self.at = 0, at
        for name in ("rename", "link", "unlink"):
            self._count(monkeypatch, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(os, name)

        def change(*paths: Any, **directories: Any) -> None:
            if name == "rename" or "app.db" in str(paths):
                self.count += 1
                if self.count in self.at:
                    raise Cut
            real(*paths, **directories)

        monkeypatch.setattr(os, name, change)


@pytest.mark.parametrize("way", ["good", "bad", "aborted"])
@pytest.mark.parametrize("has_wal", [False, True])
def test_after_a_power_cut_the_previous_database_is_whole(
    app: App,
    activated: Activation,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str,
    has_wal: bool,
) -> None:
    """The app makes a new database if it finds none, and ends with a -wal file."""
    _write(app, "then")
    release = app.release(NEW, backup=Backup(sqlite=(DB,)), is_current=True)
    name = backup.backup(release, "schedule")
    _write(app, "now")
    _write(app, "late", keep_wal=has_wal)
    if way != "good":
        monkeypatch.setattr(activation, "activate", lambda release: _fail_unless_now(app))
    shutil.copytree(app.paths.home, tmp_path / "before", symlinks=True)
    for at in range(1, MOST):
        shutil.rmtree(app.paths.home)
        shutil.copytree(tmp_path / "before", app.paths.home, symlinks=True)
        if not _restore_cut(app, monkeypatch, name, at, way == "aborted"):
            break
    else:
        pytest.fail(f"a restore changes more than {MOST} names")


def _restore_cut(
    app: App, monkeypatch: pytest.MonkeyPatch, name: str, at: int, is_aborted: bool
) -> bool:
    """False: it ended before the cut."""
    cuts = 0
    operations.begin(app.paths, Operation("restore", name, "ada", 7.0))
    with monkeypatch.context() as patched:
        Cutter(patched, at, at + 3)
        while True:
            try:
                ended = restore(app.paths, name, "ada")
            except Cut:
                cuts += 1
                _write(app, f"boot {cuts}", keep_wal=True)
                if is_aborted and (begun := operations.begun(app.paths)):
                    abort_request.request(app.paths, begun, "ada")
            else:
                break
    _assert_whole(app, ended.state, f"cut at {at}")
    return cuts > 0


def _assert_whole(app: App, state: str, when: str) -> None:
    """What the app had acknowledged before is together in one database."""
    found = {str(path.relative_to(app.paths.home)): _rows(path) for path in _databases(app)}
    previous = [path for path, rows in found.items() if rows[:3] == ["then", "now", "late"]]
    assert len(previous) == 1, (when, found)
    in_place = str((app.paths.shared / DB).relative_to(app.paths.home))
    assert (previous == [in_place]) == (state != "verified"), (when, state, found)
    assert found[in_place][0] == "then"
    logs = list(app.paths.home.rglob("*-wal"))
    assert all(path.stat().st_nlink == 1 for path in logs), (when, logs)


def _databases(app: App) -> list[Path]:
    return [path for path in app.paths.home.rglob("app.db*") if "-" not in path.name]


def _write(app: App, text: str, *, keep_wal: bool = False) -> None:
    """+ keep_wal: as after a crash"""
    path = app.paths.shared / DB
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode=wal")
        opened.execute("CREATE TABLE IF NOT EXISTS said (text TEXT)")
        opened.execute("INSERT INTO said VALUES (?)", (text,))
        opened.commit()
        kept = [Path(f"{path}{ending}") for ending in ("", "-wal") if keep_wal]
        for file in kept:
            shutil.copy(file, f"{file}.kept")
    for file in kept:
        Path(f"{file}.kept").replace(file)


def _rows(path: Path) -> list[str]:
    """Of a copy: a database that is opened becomes another one."""
    with TemporaryDirectory() as place:
        for ending in ("", "-wal", "-journal"):
            if Path(f"{path}{ending}").exists():
                shutil.copy(f"{path}{ending}", f"{place}/copy{ending}")
        with closing(sqlite3.connect(f"{place}/copy")) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return [str(row[0]) for row in opened.execute("SELECT text FROM said ORDER BY rowid")]


def _fail_unless_now(app: App) -> None:
    if "now" not in _rows(app.paths.shared / DB):
        raise Failure("web: exited with 1")
