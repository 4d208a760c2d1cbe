"""An app with a backup and changed data, and what a restore made of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gpuhost.runner.data import backup
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages import activation
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs

DB = "data/app.db"
ALL = Backup(sqlite=(DB,), paths=("public/audio", "settings.json"))
THEN = ("then", ["then.mp3"], "then")
NOW = ("now", ["now.mp3"], "now")


root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


Mount = Callable[..., None]


@pytest.fixture
def mounted() -> Iterator[Mount]:
    """Mounts something until the test ends. + words: arguments of mount; the last is the target"""
    targets: list[str] = []

    def mount(*words: str | Path) -> None:
        subprocess.run(["mount", *words], check=True)
        targets.append(str(words[-1]))

    yield mount
    for target in reversed(targets):
        subprocess.run(["umount", "-l", target], check=False, capture_output=True)


@pytest.fixture
def disk(app: App, mounted: Mount) -> Path:
    """Another disk at shared/."""
    app.paths.shared.mkdir()
    mounted("-t", "tmpfs", "none", app.paths.shared)
    return app.paths.shared


class Activation:
    """Records the data at each activation of the release."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: list[str] = []
        self.wrong: list[BaseException] = []

    def activate(self, release: Release) -> None:
        self.seen.append(app_data(self.app))
        if self.wrong:
            raise self.wrong.pop(0)


@pytest.fixture
def activated(app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Activation:
    programs.compose({"web": {}, "db": {}, "migrate": {}})
    programs.answer("docker ps *", "c0ffee web\n0ddb0y db\n")
    made = Activation(app)
    monkeypatch.setattr(activation, "activate", made.activate)
    return made


def database(app: App, text: str, *, wal: bool = False, adds: bool = False) -> None:
    """Write the row that is the app's data.

    + wal: leave it in the write-ahead log, like a crash
    + adds: keep the earlier rows
    """
    path = app.paths.shared / DB
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode=wal")
        opened.execute("CREATE TABLE IF NOT EXISTS said (text TEXT)")
        if not adds:
            opened.execute("DELETE FROM said")
        opened.execute("INSERT INTO said VALUES (?)", (text,))
        opened.commit()
        if wal:
            for ending in ("", "-wal"):
                shutil.copy(f"{path}{ending}", f"{path}{ending}.kept")
    if wal:
        for ending in ("", "-wal"):
            Path(f"{path}{ending}.kept").replace(f"{path}{ending}")


def app_data(app: App) -> str:
    with closing(sqlite3.connect(app.paths.shared / DB)) as opened:
        return str(opened.execute("SELECT text FROM said").fetchone()[0])


def a_backup(app: App, declared: Backup = ALL, **plan: object) -> str:
    """An app that runs, with a backup, and data that has changed since."""
    database(app, "then")
    app.data("public/audio/then.mp3", "then")
    app.data("settings.json", "then")
    release = app.release(NEW, backup=declared, is_current=True, **plan)
    name = backup.backup(release, "schedule")
    (app.paths.shared / "public/audio/then.mp3").unlink()
    app.data("public/audio/now.mp3", "now")
    app.data("settings.json", "now")
    database(app, "now", wal=True)
    return name


def state(app: App) -> tuple[str, list[str], str]:
    shared = app.paths.shared
    audio = sorted(path.name for path in (shared / "public/audio").iterdir())
    return app_data(app), audio, (shared / "settings.json").read_text()


def left_over(app: App) -> list[str]:
    """Temporary files that a restore has left; what it has set aside does not count."""
    shared = app.paths.shared
    left = [str(path.relative_to(shared)) for path in shared.rglob(".gpuhost*")]
    return left + (["restore"] if (app.paths.home / "restore").exists() else [])


def set_aside(app: App) -> list[str]:
    homes = list(app.paths.backups.glob("before-restore-*"))
    return sorted(path.name for home in homes for path in home.glob("*/*"))
