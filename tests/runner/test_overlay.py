"""Files of the app are put over its source: all of them inside it, or none."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from gpuhost.runner.data import overlay
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Edit, Source
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner.archives import Add, a_file, a_member, write_archive
from tests.runner.host_fixtures import OLD, App, app
from tests.runner.repositories import Repository, from_git, isolated_host, repository
from tests.runner.running import Cut

__all__ = ["app", "isolated_host", "repository"]

UPSTREAM = (
    a_file("backend/app.py", "as upstream has it\n"),
    a_file("backend/run.sh", "#!/bin/sh\n", mode=0o755),
    a_file("README", "x"),
    a_member("inside", tarfile.SYMTYPE, "backend"),
    a_member("outside", tarfile.SYMTYPE, "../../shared"),
    a_member("latest.py", tarfile.SYMTYPE, "backend/app.py"),
    a_member("same.py", tarfile.LNKTYPE, "backend/app.py"),
)


def laid_over(
    app: App, *members: Add, release_id: str = OLD, edits: tuple[Edit, ...] = ()
) -> Release:
    """A release with the upstream's files and this overlay, not yet fetched."""
    release = app.release(release_id, source=Source("archive", "r", overlay="h", edits=edits))
    write_archive(release.paths.archive, *UPSTREAM)
    write_archive(release.paths.overlay, *members)
    return release


def test_files_are_added_and_replaced(app: App) -> None:
    release = laid_over(
        app,
        a_member("frontend", tarfile.DIRTYPE),
        a_member("frontend/lib", tarfile.DIRTYPE),
        a_file("frontend/lib/api.ts", "export {}\n"),
        a_member("backend", tarfile.DIRTYPE),
        a_file("backend/app.py", "ours\n"),
        a_file("backend/run.sh", "#!/bin/sh\n# ours\n", mode=0o644),
        a_file("start.sh", "#!/bin/sh\n", mode=0o755),
        a_member("current", tarfile.SYMTYPE, "inside/app.py"),
    )
    source.fetch(release)
    made = release.paths.source
    assert (made / "frontend/lib/api.ts").read_text() == "export {}\n"
    assert (made / "backend/app.py").read_text() == "ours\n"
    assert (made / "current").read_text() == "ours\n"
    assert (made / "README").read_text() == "x"
    # A hard link of the source still has the upstream's content.
    assert (made / "same.py").read_text() == "as upstream has it\n"
    modes = [(made / name).stat().st_mode & 0o777 for name in ("backend/run.sh", "start.sh")]
    assert modes == [0o644, 0o755]
    assert not release.paths.unpacked_overlay.exists()
    log = release.paths.log.read_text()
    assert "overlay adds 3 files: current, frontend/lib/api.ts, start.sh" in log
    assert "overlay replaces 2 files: backend/app.py, backend/run.sh" in log


REFUSED = {
    "a hook of git": ([a_file(".git/hooks/post-checkout", "x")], ".git is git's own"),
    "through a link in the source": (
        [a_file("inside/app.py")],
        "inside/app.py goes through a link of the source, inside -> backend",
    ),
    "through a link out of the source": (
        [a_file("outside/x")],
        "outside/x goes through a link of the source, outside -> ../../shared",
    ),
    "over a link to a file": (
        [a_file("latest.py")],
        "latest.py goes through a link of the source, latest.py -> backend/app.py",
    ),
    "over a link to a directory": ([a_file("inside")], "inside goes through a link"),
    "a directory over a link": ([a_member("outside", tarfile.DIRTYPE)], "outside goes through a"),
    "a file over a directory": ([a_file("backend")], "backend is a file, but a directory in"),
    "a link over a directory": (
        [a_member("backend", tarfile.SYMTYPE, "frontend"), a_file("frontend/x")],
        "backend is a file, but a directory in the source",
    ),
    "a directory over a file": (
        [a_file("README/x")],
        "README is a directory, but a file in the source",
    ),
    "a link up": (
        [a_member("up", tarfile.SYMTYPE, "../../../shared")],
        "the link up -> ../../../shared leads out of the source",
    ),
    "an absolute link": (
        [a_member("passwd", tarfile.SYMTYPE, "/etc/passwd")],
        "the link passwd -> /etc/passwd leads out of the source",
    ),
    "a link that continues through one of the source": (
        [a_member("data", tarfile.SYMTYPE, "outside/data")],
        "the link data -> outside/data leads out of the source",
    ),
    "a path up": ([a_file("../outside")], "a path outside of its directory"),
    "an absolute path": ([a_file("/tmp/outside")], "a path outside of its directory"),
    "through a link of its own": (
        [a_member("own", tarfile.SYMTYPE, "backend"), a_file("own/app.py")],
        "writes through a link",
    ),
    "a pipe": ([a_member("pipe", tarfile.FIFOTYPE)], "a device or a pipe"),
}


@pytest.mark.parametrize(("members", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(app: App, members: list[Add], said: str) -> None:
    app.data("data", "of the app")
    before = sorted(app.paths.shared.rglob("*"))
    release = laid_over(app, a_file("good.py"), *members)
    with pytest.raises(Failure) as failure:
        source.fetch(release)
    assert said in failure.value.said
    assert failure.value.fix
    assert not release.paths.source.exists()
    assert not release.paths.unpacked_overlay.exists()
    assert sorted(app.paths.shared.rglob("*")) == before
    assert app.data("data", "of the app").read_text() == "of the app"


def test_every_problem_is_named_before_a_file_is_moved(app: App) -> None:
    release = laid_over(app, a_file("README/x"), a_file("backend/app.py", "ours"), a_file("inside"))
    with pytest.raises(Failure) as failure:
        source.fetch(release)
    assert failure.value.said == (
        "x-gpuhost.source.overlay: README is a directory, but a file in the source; "
        "inside goes through a link of the source, inside -> backend"
    )
    assert not release.paths.new_source.exists()


def test_a_link_in_a_circle_is_not_followed(app: App) -> None:
    release = laid_over(
        app, a_member("a", tarfile.SYMTYPE, "b"), a_member("b", tarfile.SYMTYPE, "a")
    )
    source.fetch(release)
    assert (release.paths.source / "a").readlink() == Path("b")


def test_names_need_not_be_utf_8(app: App) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    release = laid_over(app, a_file(name), a_file("README/x"))
    with pytest.raises(Failure, match="README is a directory"):
        source.fetch(release)
    write_archive(release.paths.overlay, a_member(name, tarfile.SYMTYPE, "/etc"))
    with pytest.raises(Failure) as failure:
        source.fetch(release)
    assert r"caf\xe9.txt -> /etc" in failure.value.said


def test_over_a_commit(app: App, repository: Repository) -> None:
    revision = repository.first
    release = app.release(source=from_git(revision, repository.url, overlay="h"))
    write_archive(release.paths.overlay, a_file("lib/api.ts", "ours"))
    source.fetch(release)
    assert (release.paths.source / "lib/api.ts").read_text() == "ours"
    assert "first" in (release.paths.source / "Dockerfile").read_text()
    assert repository.git(release.paths.source, "rev-parse", "HEAD") == revision


def test_a_missing_archive(app: App) -> None:
    release = laid_over(app)
    release.paths.overlay.unlink()
    with pytest.raises(Failure, match=r"overlay\.tar\.gz is missing in the release"):
        source.fetch(release)
    assert not release.paths.source.exists()


@pytest.mark.parametrize("at", ["unpacked", "half moved", "moved", "edited"])
def test_a_cut_stage_is_repeated_completely(
    app: App, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    edit = Edit("backend/app.py", "ours", "edited", "a test")
    release = laid_over(
        app, a_file("a.ts", "a"), a_file("backend/app.py", "ours\n"), a_file("z.ts"), edits=(edit,)
    )
    put, moved = overlay._put, []

    def cut(*arguments: object) -> None:
        raise Cut

    def cut_second(laid: Path, there: Path) -> None:
        if moved:
            raise Cut
        moved.append(there)
        put(laid, there)

    where = {
        "unpacked": (overlay, "_problem", cut),
        "half moved": (overlay, "_put", cut_second),
        "moved": (source, "apply_edits", cut),
        "edited": (source.os, "sync", cut),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*where[at])
        with pytest.raises(Cut):
            source.fetch(release)
    assert not release.paths.source.exists()
    source.fetch(release)
    made = release.paths.source
    assert (made / "backend/app.py").read_text() == "edited\n"
    assert sorted(path.name for path in made.glob("*.ts")) == ["a.ts", "z.ts"]
    assert [path.name for path in release.paths.home.glob(".*.new")] == []
    # A release that has its source does nothing more.
    shutil.rmtree(made / "backend")
    source.fetch(release)
    assert not (made / "backend").exists()
