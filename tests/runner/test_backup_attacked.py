"""An app exchanges what is backed up at any moment: nothing of the host gets into a backup."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuhost.runner.data import backup, stored
from gpuhost.runner.lib.directory_handle import DirectoryHandle, Entry
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Directory
from tests.runner.backup_fixtures import a_database
from tests.runner.host_fixtures import ME, App, app, programs
from tests.runner.trees import by_a_link

__all__ = ["app", "programs"]

SECRET = b"of the host"
# An app cannot exchange what is in shared/ itself.
OWN_DB = "mine/data/app.db"


@pytest.fixture
def host(app: App, tmp_path: Path) -> Path:
    """Directories of the host, with the same names as the app's."""
    for name in ("file", "audio/file"):
        path = tmp_path / "host" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
        app.data(f"mine/public/{name}", "of the app")
    a_database(tmp_path / "host/app.db", mode="delete", rows=7)
    a_database(app.paths.shared / OWN_DB, mode="delete")
    return tmp_path / "host"


def contents(app: App) -> bytes:
    """All that is in the app's backups."""
    found = b""
    for path in app.paths.backups.glob("*/[0-9]-*"):
        if path.suffix == ".gz":
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isreg():
                        file = archive.extractfile(member)
                        found += file.read() if file else b""
        else:
            found += path.read_bytes()
    return found


@pytest.mark.parametrize(
    ("declared", "exchanged", "to"),
    [
        (Backup(paths=("mine/public/audio",)), "mine/public", ""),
        (Backup(paths=("mine/public/audio",)), "mine/public/audio", "audio"),
        (Backup(paths=("mine/public/file",)), "mine/public", ""),
        (Backup(paths=("mine/public/file",)), "mine/public/file", "file"),
        (Backup(sqlite=(OWN_DB,)), "mine/data", ""),
        (Backup(sqlite=(OWN_DB,)), OWN_DB, "app.db"),
    ],
)
def test_what_is_exchanged_for_a_link_before_it_is_saved_is_refused(
    app: App,
    host: Path,
    monkeypatch: pytest.MonkeyPatch,
    declared: Backup,
    exchanged: str,
    to: str,
) -> None:
    before = (host / "app.db").read_bytes()

    def swap(*_: object) -> None:
        by_a_link(app.paths.shared / exchanged, host / to)

    monkeypatch.setattr(backup, "_require_space", swap)
    owned = (Directory("mine", ME),)
    release = app.release(backup=declared, directories=owned)
    try:
        backup.backup(release, "schedule")
    except Failure as failure:
        assert "link" in failure.said or "not a regular file" in failure.said
    else:
        pytest.fail(f"a backup was made: {contents(app)[:80]!r}")
    assert (host / "app.db").read_bytes() == before


def test_links_that_come_and_go_bring_nothing_from_outside(app: App, host: Path) -> None:
    """A directory of many files, exchanged for a link and back as fast as possible."""
    for number in range(20):
        app.data(f"mine/public/audio/d/{number}", "of the app")
        (host / "d").mkdir(exist_ok=True)
        (host / f"d/{number}").write_bytes(SECRET)
    inner, moved = (
        app.paths.shared / "mine/public/audio/d",
        app.paths.shared / "mine/public/audio/moved",
    )
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            inner.rename(moved)
            inner.symlink_to(host / "d")
            inner.unlink()
            moved.rename(inner)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        release = app.release(backup=Backup(paths=("mine/public",), keep=30))
        for _ in range(20):
            backup.backup(release, "schedule")
    finally:
        stop.set()
        thread.join()
    assert b"of the app" in contents(app)
    assert SECRET not in contents(app)


@pytest.mark.parametrize("path", [OWN_DB, "mine/data"])
def test_a_database_that_is_declared_twice_is_saved_once(app: App, path: str) -> None:
    a_database(app.paths.shared / OWN_DB)
    a_database(app.paths.shared / "mine/data/other.db")
    name = backup.backup(app.release(backup=Backup(sqlite=(OWN_DB,), paths=(path,))), "release")
    saved = sorted(file.name for file in (app.paths.backups / name).iterdir())
    assert saved[0] == "1-mine_data_app.db.sqlite"
    if path == "mine/data":
        with tarfile.open(app.paths.backups / name / saved[1]) as archive:
            assert archive.getnames() == ["data", "data/other.db"]
    else:
        assert len(saved) == 2


def test_a_name_of_any_bytes_adds_no_line_to_the_log(app: App) -> None:
    top = app.data("mine/public/file").parent
    os.mkfifo(top / os.fsdecode(b"a\n00:00:00 == verify \xff\x1b[2J"))
    release = app.release(backup=Backup(paths=("mine/public",)))
    backup.backup(release, "schedule")
    lines = release.paths.log.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(
        r"1 sockets, pipes or devices are not packed, such as "
        r"public/a\n00:00:00 == verify \xff\x1b[2J"
    )


def test_files_that_come_faster_than_they_are_counted_end_at_the_deadline(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("mine/public/file")

    def endless(handle: DirectoryHandle, name: str) -> Iterator[Entry]:
        while True:
            yield Entry(name, handle, name, handle.state())

    monkeypatch.setattr(DirectoryHandle, "walk", endless)
    release = app.release(backup=Backup(paths=("mine/public",), limit_s=0))
    with pytest.raises(Failure, match=r"not packed within backup\.limit_s"):
        backup.backup(release, "schedule")


@pytest.mark.parametrize("declared", [Backup(sqlite=(OWN_DB,)), Backup(paths=("mine",))])
def test_data_that_grows_meanwhile_does_not_fill_the_disk(
    app: App, monkeypatch: pytest.MonkeyPatch, declared: Backup
) -> None:
    a_database(app.paths.shared / OWN_DB)
    release = app.release(backup=declared)
    usage = namedtuple("usage", "free")
    full = usage(stored.RESERVE // 2 - 1)

    def fill(*_: object) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: full)

    monkeypatch.setattr(backup, "_require_space", fill)
    with pytest.raises(Failure, match="is nearly full: the backup was ended"):
        backup.backup(release, "schedule")
    assert list(app.paths.backups.iterdir()) == []


def test_a_huge_database_of_holes_takes_no_room(app: App) -> None:
    path = app.paths.shared / OWN_DB
    a_database(path, mode="delete")
    with path.open("r+b") as file:
        file.truncate(256 << 20)
    name = backup.backup(app.release(backup=Backup(sqlite=(OWN_DB,))), "schedule")
    (copy,) = (app.paths.backups / name).glob("1-*")
    assert (copy.stat().st_size, copy.stat().st_blocks * 512 <= 2 << 20) == (256 << 20, True)
