"""An archive is unpacked inside its directory, or not at all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner.at_hand import App, app

__all__ = ["app"]

Add = Callable[[tarfile.TarFile], None]


def a_file(name: str, text: str = "x", mode: int = 0o644) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(text.encode()), mode
        archive.addfile(member, io.BytesIO(text.encode()))

    return add


def a_thing(name: str, kind: bytes, link: str = "", mode: int = 0o755) -> Add:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.mode = kind, link, mode
        archive.addfile(member)

    return add


def archived(app: App, *members: Add) -> Release:
    release = app.release(source=Source("archive", "r"))
    with tarfile.open(release.paths.archive, "w:gz") as archive:
        for add in members:
            add(archive)
    return release


def test_files_directories_and_links(app: App) -> None:
    release = archived(
        app,
        a_thing("./", tarfile.DIRTYPE, mode=0o750),
        a_file("./Dockerfile", "FROM scratch\n"),
        a_thing("bin", tarfile.DIRTYPE, mode=0o000),
        a_file("bin/run", "#!/bin/sh\n", mode=0o4755),
        a_file("deep/without/parents", "deep"),
        a_thing("link", tarfile.SYMTYPE, "bin/run"),
        a_thing("models", tarfile.SYMTYPE, "/srv/models"),
        a_thing("same", tarfile.LNKTYPE, "bin/run"),
        a_file("empty", ""),
    )
    source.fetch(release)
    made = release.paths.source
    assert (made / "Dockerfile").read_text() == "FROM scratch\n"
    # No setuid bit comes out of an archive.
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
    "through a link": [a_thing("a", tarfile.SYMTYPE, ".."), a_file("a/outside")],
    "through a link to a directory elsewhere": [
        a_thing("a", tarfile.SYMTYPE, "/etc"),
        a_thing("a", tarfile.DIRTYPE, mode=0o777),
    ],
    "over a link": [a_thing("a", tarfile.SYMTYPE, "../outside"), a_file("a")],
    "a hard link to a file elsewhere": [a_thing("a", tarfile.LNKTYPE, "../outside")],
    "a hard link through a link": [
        a_thing("a", tarfile.SYMTYPE, "/etc/passwd"),
        a_thing("b", tarfile.LNKTYPE, "a"),
    ],
    "a device": [a_thing("null", tarfile.CHRTYPE)],
    "a pipe": [a_thing("pipe", tarfile.FIFOTYPE)],
    "a block device": [a_thing("disk", tarfile.BLKTYPE)],
    "a hard link to nothing": [a_thing("a", tarfile.LNKTYPE, "b")],
    "a file that is a directory too": [a_file("a"), a_file("a/b")],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL)
def test_what_does_not_stay_inside_is_refused(app: App, members: list[Add]) -> None:
    release = archived(app, a_file("good"), *members)
    before = Path("/etc").stat().st_mode
    with pytest.raises(Failure):
        source.fetch(release)
    assert not release.paths.source.exists()
    assert list(app.paths.home.parent.rglob("outside")) == []
    assert Path("/etc").stat().st_mode == before


def test_an_archive_that_is_not_whole(app: App) -> None:
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


def test_an_archive_that_did_not_come(app: App) -> None:
    release = app.release(source=Source("archive", "r"))
    with pytest.raises(Failure, match="is missing in the release"):
        source.fetch(release)
