"""An abort, or the time limit of the operation, while the runner itself copies, packs or deletes.

The same verb again then does the whole work: nothing that is left half done counts.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.data import backup, seed, stored
from gpuhost.runner.lib import abort, files
from gpuhost.runner.lib.abort import Aborted, abortable
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Source
from gpuhost.runner.resolved import tree
from gpuhost.runner.stages import source
from gpuhost.runner.stages.restore import restore
from gpuhost.runner.state import abort_request, operations
from gpuhost.runner.state.release import Release
from tests.runner.archives import a_file, write_archive
from tests.runner.backup_fixtures import DB, a_database
from tests.runner.host_fixtures import App, app, programs
from tests.runner.restore_fixtures import (
    NOW,
    THEN,
    Activation,
    a_backup,
    activated,
    left_over,
    state,
)

__all__ = ["activated", "app", "programs"]

BOB = "bob@desk"
SONG = "a long song, " * 12
NAMES = [f"{number}.mp3" for number in range(12)]


class Asked:
    """Bob asks for the abort at one of the looks. + at: its number, from 1"""

    def __init__(self, at: int) -> None:
        self.looks, self.at = 0, at

    def __call__(self) -> str:
        self.looks += 1
        return BOB if self.looks >= self.at else ""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is a look, and every file has some."""
    monkeypatch.setattr(abort, "LOOK_S", 0)
    monkeypatch.setattr(files, "PIECE", 50)


def tree_of_files(path: Path) -> Path:
    path.mkdir(parents=True)
    for name in NAMES:
        (path / name).write_text(SONG)
    return path


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def a_source(app: App) -> Release:
    release = app.release(source=Source("archive", "r"))
    write_archive(release.paths.archive, *(a_file(name, SONG) for name in NAMES))
    return release


def packs(app: App) -> Callable[[], None]:
    tree_of_files(app.paths.shared / "audio")
    release = app.release(backup=Backup(paths=("audio",)))

    def work() -> None:
        try:
            name = backup.backup(release, "release")
        except Failure:
            assert list(app.paths.backups.glob("*")) == []
            raise
        assert [each.name for each in stored.complete(app.paths)] == [name]

    return work


def copies_a_database(app: App) -> Callable[[], None]:
    a_database(app.paths.shared / DB, mode="delete")
    release = app.release(backup=Backup(sqlite=(DB,)))

    def work() -> None:
        try:
            backup.backup(release, "release")
        except Failure:
            assert list(app.paths.backups.glob("*")) == []
            raise

    return work


def fetches(app: App) -> Callable[[], None]:
    release = a_source(app)

    def work() -> None:
        try:
            source.fetch(release)
        except Failure:
            assert not release.paths.source.exists()
            raise
        assert names(release.paths.source) == set(NAMES)

    return work


def seeds(app: App) -> Callable[[], None]:
    release = app.release()
    tree_of_files(release.paths.source / "data")

    def work() -> None:
        try:
            seed.seed(release, "data")
        except Failure:
            has_begun = any((app.paths.shared / "data").glob("*"))
            assert not has_begun or "data" in seed.unfinished(app.paths)
            raise
        assert names(app.paths.shared / "data") == set(NAMES)
        assert seed.unfinished(app.paths) == {}

    return work


def keeps_mounted_files(app: App) -> Callable[[], None]:
    release = app.release()
    tree_of_files(release.paths.source / "etc")
    kept = app.paths.home / "files"

    def work() -> None:
        digest = tree.digest_of(release.paths.source / "etc", "etc")
        try:
            tree.keep(release.paths.source, "etc", digest, kept)
        except Failure:
            assert not (kept / digest).exists()
            raise
        assert tree.digest_of(kept / digest / "etc", "etc") == digest

    return work


def deletes(app: App) -> Callable[[], None]:
    top = app.paths.home / "old"
    for name in ("one", "two/three"):
        tree_of_files(top / name)

    def work() -> None:
        files.clear(top)
        assert not top.exists()

    return work


def hashes(app: App) -> Callable[[], None]:
    path = app.data("file", SONG * 4)
    return lambda: str(stored.sha256(path)) and None


WORK = [packs, copies_a_database, fetches, seeds, keeps_mounted_files, deletes, hashes]


@pytest.mark.parametrize("prepare", WORK)
def test_long_work_ends_and_is_done_by_the_next_verb(
    app: App, prepare: Callable[[App], Callable[[], None]]
) -> None:
    work = prepare(app)
    for at in (1, 2, 3, 5, 8):
        asked = Asked(at)
        with abortable(asked), pytest.raises(Aborted, match=BOB):
            work()
        assert asked.looks == at, "nothing goes on after it"
    work()


@pytest.mark.parametrize("at", [1, 3, 8, 21])
def test_a_restore_is_aborted_while_it_stages(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    name = a_backup(app)
    operation = Operation("restore", name, "ada@desk", 7.0)
    operations.begin(app.paths, operation)
    looks = Asked(at)
    requested_by = abort_request.requested_by

    def asked(paths: Any) -> str:
        if looks():
            abort_request.request(paths, operation, BOB)
        return requested_by(paths)

    monkeypatch.setattr(abort_request, "requested_by", asked)
    result = restore(app.paths, name, "ada@desk")
    assert (result.state, result.aborted_by, state(app)) == ("failed", BOB, NOW)
    operations.end(app.paths)
    monkeypatch.setattr(abort_request, "requested_by", requested_by)
    assert left_over(app) == []
    assert restore(app.paths, name, "ada@desk").verified
    assert (state(app), left_over(app)) == (THEN, [])


def test_what_is_written_to_the_disk_is_not_waited_for(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may need minutes for what it has not written yet."""
    ended, path = threading.Event(), app.data("file", "x")
    monkeypatch.setattr(abort, "LOOK_S", 0.01)
    monkeypatch.setattr(os, "fsync", lambda number: ended.wait(600))
    with abortable(Asked(2)), pytest.raises(Aborted):
        stored.settle(path)
    ended.set()


def late() -> None:
    raise Failure("the release did not end within 60 s")


@pytest.mark.parametrize("prepare", WORK)
def test_long_work_ends_at_the_limit_of_the_operation(
    app: App, prepare: Callable[[App], Callable[[], None]]
) -> None:
    work = prepare(app)
    with abortable(str, late), pytest.raises(Failure, match="within 60 s"):
        work()
    work()


def test_a_look_asks_only_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 600)
    asked = Asked(99)
    with abortable(asked):
        for _ in range(50):
            abort.look()
        assert asked.looks == 1
        abort.check()
        assert asked.looks == 2


def test_after_an_operation_its_abort_ends_nothing(app: App) -> None:
    path = app.data("file", SONG * 4)
    with abortable(lambda: BOB), pytest.raises(Aborted):
        stored.sha256(path)
    assert stored.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
