"""A source is as large as its author likes: its copies leave room on the disk, and no part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import seed
from gpuhost.runner.git import checkout
from gpuhost.runner.lib import room
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import pieces
from gpuhost.runner.lib.room import Room
from gpuhost.runner.plan import Directory
from gpuhost.runner.resolved import tree
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner import git_server
from tests.runner.host_fixtures import ME, NEW, OLD, App
from tests.runner.repositories import Repository, from_git, isolated_host, repository
from tests.runner.restore_fixtures import mounted, root
from tests.runner.running import Cut

__all__ = ["isolated_host", "mounted", "repository"]

pytestmark = root
MB = 1 << 20


@pytest.fixture
def small(tmp_path: Path, mounted: Callable[..., None]) -> App:
    """An app on a disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=48m", "none", disk)
    app = App(AppPaths(disk / "app"))
    app.paths.shared.mkdir(parents=True)
    return app


def a_release(app: App, **sizes: int) -> Release:
    """+ sizes: of the files of models/, in MB"""
    release = app.release(directories=(Directory("models", ME),))
    (release.source / "models/sub").mkdir(parents=True)
    for name, size in sizes.items():
        (release.source / "models/sub" / name).write_bytes(os.urandom(MB) * size)
    return release


def free(app: App) -> int:
    return shutil.disk_usage(app.paths.home).free


def keep(release: Release) -> None:
    digest = tree.digest_of(release.source / "models", "models")
    tree.keep(release.source, "models", digest, release.app.files)


def into_shared(release: Release) -> None:
    seed.seed(release, "models")


def a_file_into_shared(release: Release) -> None:
    seed.seed(release, "models/sub/a")


COPIES = {
    "mounted files": (tree, keep),
    "the data's beginning": (seed, into_shared),
    "a file of it": (seed, a_file_into_shared),
}
Copy = tuple[object, Callable[[Release], None]]
each_copy = pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)


def copied(app: App) -> list[str]:
    return [path.name for top in (app.paths.files, app.paths.shared) for path in top.rglob("*.*")]


@each_copy
def test_a_copy_that_the_disk_has_no_room_for_is_not_begun(small: App, copy: Copy) -> None:
    release = a_release(small, a=28)
    before = free(small)
    with pytest.raises(
        Failure, match=r"not enough disk space to copy models.* of the sou"
    ) as failed:
        copy[1](release)
    assert "28 MB needed" in failed.value.said and failed.value.fix
    assert before - free(small) < MB / 4
    # Nothing has begun: data that comes later is the app's.
    assert seed.unfinished(small.paths) == {}


@each_copy
def test_a_source_that_grows_meanwhile_leaves_no_part(
    small: App, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = a_release(small, a=28)
    before = free(small)
    monkeypatch.setattr(Room, "require", lambda *_: None)
    with pytest.raises(Failure, match=r"is nearly full: .*copy.* was ended"):
        copy[1](release)
    assert before - free(small) < MB / 4
    assert copied(small) == []


ENTRIES: dict[str, Callable[[Path], object]] = {
    "files": Path.touch,
    "directories": Path.mkdir,
    "links": lambda path: path.symlink_to("x"),
}


@pytest.mark.parametrize("make", ENTRIES.values(), ids=ENTRIES)
def test_entries_without_content_leave_inodes_to_the_app(
    small: App, mounted: Callable[..., None], make: Callable[[Path], object]
) -> None:
    release = a_release(small, a=1)
    for number in range(400):
        make(release.source / f"models/sub/{number}")
    mounted("-t", "tmpfs", "-o", "nr_inodes=300", "none", small.paths.shared)
    with pytest.raises(Failure, match="has nearly no inodes left") as failed:
        seed.seed(release, "models")
    assert failed.value.fix == seed.FREE_SPACE
    assert os.statvfs(small.paths.shared).f_favail >= 6


@each_copy
@pytest.mark.parametrize("error", [Cut(), OSError(28, "No space left on device")], ids=repr)
def test_an_ended_copy_leaves_no_part(
    small: App, copy: Copy, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    release = a_release(small, a=4)
    before = free(small)
    real = pieces

    def ended(file: BinaryIO) -> Iterator[bytes]:
        for number, piece in enumerate(real(file)):
            if number == 2:
                raise error
            yield piece

    def without_digest() -> None:
        monkeypatch.setattr(copy[0], "pieces", ended)

    monkeypatch.setattr(Room, "require", lambda *_: without_digest())
    with pytest.raises((Failure, Cut)):
        copy[1](release)
    assert before - free(small) < MB / 4
    assert copied(small) == []


def test_an_interrupted_copy_needs_room_only_for_the_rest(small: App) -> None:
    release = a_release(small, a=10, b=10)
    release.remember(copied={"models": False})
    there = small.paths.shared / "models/sub"
    there.mkdir(parents=True)
    shutil.copy(release.source / "models/sub/a", there / "a")
    # Of a runner that was killed.
    (there / seed.PART).write_bytes(os.urandom(MB) * 10)
    seed.seed(release, "models")
    assert sorted(path.name for path in there.iterdir()) == ["a", "b"]


def test_what_a_killed_runner_left_is_deleted_before_room_is_asked_for(small: App) -> None:
    release = a_release(small, a=12)
    left = small.paths.files / ".of-another-digest.new"
    left.mkdir(parents=True)
    (left / "a").write_bytes(os.urandom(MB) * 22)
    keep(release)
    assert not left.exists()


@pytest.mark.parametrize("size", [14, 7], ids=["than the disk", "twice"])
def test_a_commit_that_is_larger_fills_no_disk(
    small: App, repository: Repository, mounted: Callable[..., None], size: int
) -> None:
    """The second is fetched, and needs as much again for the release."""
    mounted("-o", "remount,size=12m", small.paths.home.parent)
    for home in (repository.home, repository.work):
        repository.git(home, "config", "core.compression", "0")
    (repository.work / "weights").write_bytes(os.urandom(size * MB))
    release = small.release(source=from_git(repository.commit("large"), repository.url))
    with pytest.raises(Failure, match=r"is nearly full: git fetch of .* was ended") as end:
        source.fetch(release)
    assert "source.ref" in end.value.fix
    assert free(small) > 4 * MB
    assert not [*small.paths.home.glob(".git*"), *release.paths.home.glob(".source*")]
    assert "damaged" not in release.paths.log.read_text()


@pytest.mark.parametrize("path", ["one", "sub"])
def test_a_server_that_sends_each_object_as_a_file_fills_no_disk(
    small: App, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Plain HTTP: no object is larger than the disk. Nothing stays: all apps write there."""
    inner = Repository(tmp_path, "inner.git")
    large, other = (repository, inner) if path == "one" else (inner, repository)
    for home in (large.home, large.work):
        large.git(home, "config", "core.compression", "0")
    for number in range(16):
        (large.work / f"weights{number}").write_bytes(os.urandom(3 * MB))
    large.commit("large")
    repository.git(repository.work, "submodule", "add", "-q", "../inner.git", "sub")
    revision = repository.commit("with a submodule")
    for one in (large, other):
        one.git(one.home, "update-server-info")
    before = free(small)
    looks, real = [], Room.of

    def of(directory: DirectoryHandle) -> Room:
        looks.append(real(directory))
        return looks[-1]

    monkeypatch.setattr(Room, "of", of)
    # It is ended when two thirds of the disk are full.
    monkeypatch.setattr(room, "PART", 1.5)
    with git_server.plain(tmp_path) as address:
        release = small.release(source=from_git(revision, f"{address}/one.git"))
        with pytest.raises(Failure, match=rf"is nearly full: git fetch of .*{path}") as end:
            source.fetch(release)
    assert "source.ref" in end.value.fix
    assert min(look.free for look in looks) > 4 * MB
    assert before - free(small) < MB / 2


def test_forgotten_commits_stay_if_the_disk_has_no_room_to_pack_the_others(
    small: App, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id_, revision in ((OLD, repository.first), (NEW, repository.second)):
        source.fetch(release := small.release(id_, source=from_git(revision, repository.url)))
    names = sorted(small.paths.git.rglob("*"))
    with monkeypatch.context() as context:
        context.setattr(room, "RESERVE", 1 << 60)
        context.setattr(room, "PART", 0.4)
        checkout.forget(release, {repository.second})
    assert "git gc of the app's copy was ended" in release.paths.log.read_text()
    assert sorted(small.paths.git.rglob("*")) == names
