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
from tests.runner.restore_fixtures import DB, Activation, activated, database
from tests.runner.running import Cut

__all__ = ["activated", "app", "programs"]

# Fewer and more changes of names than a restore with its undo has.
LEAST, MOST = 5, 40


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
    database(app, "then")
    release = app.release(NEW, backup=Backup(sqlite=(DB,)), is_current=True)
    name = backup.backup(release, "schedule")
    database(app, "now", adds=True)
    database(app, "late", wal=has_wal, adds=True)
    if way != "good":
        monkeypatch.setattr(activation, "activate", lambda release: _fail_unless_now(app))
    shutil.copytree(app.paths.home, tmp_path / "before", symlinks=True)
    for at in range(1, MOST):
        shutil.rmtree(app.paths.home)
        shutil.copytree(tmp_path / "before", app.paths.home, symlinks=True)
        state, is_cut = _restore_cut(app, monkeypatch, name, at, way == "aborted")
        previous, others = _databases(app)
        in_place = (app.paths.shared / DB).relative_to(app.paths.home)
        assert len(previous) == 1, (at, previous, others)
        assert (in_place in previous) == (state != "verified"), (at, state, previous)
        assert (previous | others)[in_place][0] == "then", (at, state)
        logs = list(app.paths.home.rglob("*-wal"))
        assert all(path.stat().st_nlink == 1 for path in logs), (at, logs)
        if not is_cut:
            break
    assert LEAST < at < MOST, "a restore with its undo changes as many names"


def _restore_cut(
    app: App, monkeypatch: pytest.MonkeyPatch, name: str, at: int, is_aborted: bool
) -> tuple[str, bool]:
    """How it ended, and whether it was cut before."""
    cuts = 0
    operations.begin(app.paths, Operation("restore", name, "ada", 7.0))
    with monkeypatch.context() as patched:
        Cutter(patched, at, at + 3)
        while True:
            try:
                ended = restore(app.paths, name, "ada")
            except Cut:
                cuts += 1
                database(app, f"boot {cuts}", wal=True, adds=True)
                if is_aborted and (begun := operations.begun(app.paths)):
                    abort_request.request(app.paths, begun, "ada")
            else:
                break
    return ended.state, cuts > 0


def _databases(app: App) -> tuple[dict[Path, list[str]], dict[Path, list[str]]]:
    """The rows of those with all that the app had acknowledged before, and of the others."""
    files = [path for path in app.paths.home.rglob("app.db*") if "-" not in path.name]
    found = {path.relative_to(app.paths.home): _rows(path) for path in files}
    previous = {p: rows for p, rows in found.items() if rows[:3] == ["then", "now", "late"]}
    return previous, {path: rows for path, rows in found.items() if path not in previous}


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
