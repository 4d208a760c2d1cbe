"""An archive is unpacked inside its directory, or not at all."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.runner.data import archive
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.room import RESERVED_INODES, Room
from gpuhost.runner.plan import Source
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner.archives import Add, a_file, a_member, write_archive
from tests.runner.host_fixtures import NEW, OLD, App, app

__all__ = ["app"]


def archived(app: App, *members: Add, id_: str = NEW) -> Release:
    release = app.release(id_, source=Source("archive", "r"))
    write_archive(release.paths.archive, *members)
    return release


def test_files_directories_and_links_are_unpacked(app: App) -> None:
    release = archived(
        app,
        a_member("./", tarfile.DIRTYPE, mode=0o750),
        a_file("./Dockerfile", "FROM scratch\n"),
        a_member("bin", tarfile.DIRTYPE, mode=0o000),
        a_file("bin/run", "#!/bin/sh\n", mode=0o4755),
        a_file("deep/without/parents", "deep"),
        a_member("link", tarfile.SYMTYPE, "bin/run"),
        a_member("models", tarfile.SYMTYPE, "/srv/models"),
        a_member("same", tarfile.LNKTYPE, "bin/run"),
        a_file("empty", ""),
    )
    source.fetch(release)
    made = release.paths.source
    assert (made / "Dockerfile").read_text() == "FROM scratch\n"
    # The setuid bit is dropped.
    assert (made / "bin/run").stat().st_mode & 0o7777 == 0o755
    assert (made / "bin").stat().st_mode & 0o777 == 0o700
    assert (made / "deep/without/parents").read_text() == "deep"
    assert (made / "link").readlink() == Path("bin/run")
    assert (made / "models").readlink() == Path("/srv/models")
    assert (made / "same").samefile(made / "bin/run")
    assert (made / "empty").read_text() == ""


EVIL = {
    "a path up": [a_file("../outside")],
    "a path up, later": [a_file("a/../../outside")],
    "an absolute path": [a_file("/tmp/outside")],
    "through a link": [a_member("a", tarfile.SYMTYPE, ".."), a_file("a/outside")],
    "through a link to a directory elsewhere": [
        a_member("a", tarfile.SYMTYPE, "/etc"),
        a_member("a", tarfile.DIRTYPE, mode=0o777),
    ],
    "over a link": [a_member("a", tarfile.SYMTYPE, "../outside"), a_file("a")],
    "a hard link to a file elsewhere": [a_member("a", tarfile.LNKTYPE, "../outside")],
    "a hard link through a link": [
        a_member("a", tarfile.SYMTYPE, "/etc/passwd"),
        a_member("b", tarfile.LNKTYPE, "a"),
    ],
    "a device": [a_member("null", tarfile.CHRTYPE)],
    "a pipe": [a_member("pipe", tarfile.FIFOTYPE)],
    "a block device": [a_member("disk", tarfile.BLKTYPE)],
    "a hard link to nothing": [a_member("a", tarfile.LNKTYPE, "b")],
    "a file that is a directory too": [a_file("a"), a_file("a/b")],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL)
def test_a_member_that_leaves_the_directory_is_refused(app: App, members: list[Add]) -> None:
    release = archived(app, a_file("good"), *members)
    before = Path("/etc").stat().st_mode
    with pytest.raises(Failure):
        source.fetch(release)
    assert not release.paths.source.exists()
    assert list(app.paths.home.parent.rglob("outside")) == []
    assert Path("/etc").stat().st_mode == before


def test_a_truncated_or_damaged_archive_is_refused(app: App) -> None:
    release = archived(app, a_file("big", "\n".join(str(n) for n in range(20000))))
    whole = release.paths.archive.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:9], b"", b"no archive at all", whole[::-1]):
        release.paths.archive.write_bytes(content)
        with pytest.raises(Failure, match=r"source\.tar\.gz cannot be unpacked"):
            source.fetch(release)
        assert not release.paths.source.exists()
    release.paths.archive.write_bytes(whole)
    source.fetch(release)
    assert (release.paths.source / "big").exists()


def test_a_missing_archive(app: App) -> None:
    release = app.release(source=Source("archive", "r"))
    with pytest.raises(Failure, match="is missing in the release"):
        source.fetch(release)


def pax(name: str, **headers: str) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.pax_headers = headers
        archive.addfile(member)

    return add


def raw(kind: bytes, size: int, content: bytes = b"", times: int = 1) -> Add:
    """Headers as they are, with this size, whatever follows."""

    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, size
        header = member.tobuf(tarfile.GNU_FORMAT)
        assert archive.fileobj is not None
        archive.fileobj.write((header + content) * times)

    return add


def zeros(size: int) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("zeros")
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))

    return add


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 60)}
REFUSED = {
    "a header of 8 GB": ([raw(tarfile.XHDTYPE, 8 << 30)], "a header of 8.0 GB"),
    "a long name of 8 GB": ([raw(tarfile.GNUTYPE_LONGNAME, 8 << 30)], "a header of 8.0 GB"),
    "headers for all entries": ([raw(tarfile.XGLTYPE, 0)], "a kind that is not used"),
    "a sparse file of old tar": ([raw(tarfile.GNUTYPE_SPARSE, 0)], "a kind that is not used"),
    "a sparse file of pax": ([pax("a", **SPARSE)], ""),
    "a sparse file of older pax": (
        [pax("a", **{"GNU.sparse.size": str(1 << 60), "GNU.sparse.map": "0,0"})],
        "a sparse file",
    ),
    "headers of headers": (
        [raw(tarfile.GNUTYPE_LONGNAME, 2, b"a" * 512, 3000)],
        "nested too deeply",
    ),
    "a hard link to nothing": ([a_member("a", tarfile.LNKTYPE, "b")], "No such file"),
    "a name with NUL": ([pax("a", path="a\0b")], "null"),
    "a name of 5000 characters": ([a_file("a/" * 2500 + "b")], ""),
    "an entry that is damaged": ([a_file("a"), raw(b"0", 0, b"x" * 512), a_file("b")], "damaged"),
}


@pytest.mark.parametrize(("members", "said"), REFUSED.values(), ids=REFUSED)
def test_an_archive_that_we_do_not_make_is_refused(app: App, members: list[Add], said: str) -> None:
    release = app.release(source=Source("archive", "r"))
    with tarfile.open(release.paths.archive, "w:gz", format=tarfile.PAX_FORMAT) as made:
        for add in members:
            add(made)
    with pytest.raises(Failure, match=f"cannot be unpacked: .*{said}"):
        source.fetch(release)
    assert not list(release.paths.home.glob(".source*"))


ENTRIES = {
    "a file": zeros(1_000_000),
    "a directory": a_member("entry", tarfile.DIRTYPE),
    "a link": a_member("entry", tarfile.SYMTYPE, "x"),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"free": 1 << 20}, "not enough disk space to unpack .* of the source"),
        ({"free_inodes": 1}, "no inodes are left to unpack .* of the source"),
    ],
)
def test_an_entry_for_which_the_disk_has_no_room(
    app: App, monkeypatch: pytest.MonkeyPatch, entry: Add, left: dict[str, int], said: str
) -> None:
    room = replace(Room(1 << 40, 1 << 39, inodes=1 << 20, free_inodes=1 << 19), **left)
    monkeypatch.setattr(Room, "of", lambda directory: room)
    release = archived(app, entry)
    with pytest.raises(Failure, match=said):
        source.fetch(release)
    assert not list(release.paths.home.glob(".source*"))


def test_zeros_at_the_end_of_an_archive_can_be_aborted(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are small while they are compressed."""
    release = archived(app, a_file("a"))
    with gzip.open(release.paths.archive, "ab") as more:
        more.write(bytes(64 << 20))
    looks = []
    monkeypatch.setattr(abort, "look", lambda: looks.append(1))
    source.fetch(release)
    assert len(looks) >= 64


def test_an_archive_with_more_files_than_a_host_can_have(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    with pytest.raises(Failure, match="more than 3 files and directories"):
        source.fetch(archived(app, *(a_file(f"{n}") for n in range(4))))


def test_the_directories_that_an_entry_needs_count_and_need_room(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a few entries may have hundreds, which are in no entry of their own."""
    monkeypatch.setattr(archive, "MOST_ENTRIES", 12)
    source.fetch(archived(app, a_file("a/b/c/d/e/f"), a_file("a/b/c/d/e/g"), a_file("a/b/c/h/i/j")))
    with pytest.raises(Failure, match="more than 12 files and directories"):
        source.fetch(archived(app, a_file("a/b/c/d/e/f"), a_file("k/l/m/n/o/p/q"), id_=OLD))


def test_a_directory_for_which_the_disk_has_no_room(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    inodes = itertools.count(4, -1)
    rooms = (Room(1 << 40, 1 << 39, 1 << 20, max(0, free) + RESERVED_INODES) for free in inodes)
    monkeypatch.setattr(Room, "of", lambda directory: next(rooms))
    release = archived(app, a_file("a/b/c/d/e/f"))
    with pytest.raises(Failure, match="no inodes are left to unpack a/b/c/d of the source"):
        source.fetch(release)
    assert not list(release.paths.home.glob(".source*"))
