"""A commit that is larger than the disk: the fetch ends, and what it wrote is deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.git import bounded_fetch, commit_size
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import source
from tests.runner.host_fixtures import NEW, OLD, App, app
from tests.runner.repositories import Repository, from_git, isolated_host, repository
from tests.runner.restore_fixtures import mounted, root

__all__ = ["app", "isolated_host", "mounted", "repository"]

pytestmark = root
DISK = 24 << 20


@pytest.fixture
def small(tmp_path: Path, mounted: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> App:
    """An app on a disk of its own."""
    monkeypatch.setattr(commit_size, "RESERVE", 4 << 20)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=24m", "none", disk)
    (disk / "app").mkdir()
    return App(AppPaths(disk / "app"))


def large(repository: Repository, files: int, size: int) -> str:
    for number in range(files):
        (repository.work / f"f{number}").write_text(str(number))
    (repository.work / "large").write_bytes(os.urandom(size))
    return repository.commit("large")


@pytest.mark.parametrize("files", [0, 150])
@pytest.mark.parametrize("reserve", [4 << 20, 0])
def test_a_commit_that_is_larger_than_the_disk_leaves_it_free(
    small: App, repository: Repository, files: int, reserve: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reserve the disk is full before the limit: others write to it too."""
    if not reserve:
        monkeypatch.setattr(bounded_fetch, "room_at", lambda _: 1 << 40)
    commit = large(repository, files, 30 << 20)
    release = small.release(source=from_git(commit, repository.url))
    with pytest.raises(Failure, match=r"needs .* or more; the disk of .* has 2\d MB free") as said:
        source.fetch(release)
    assert "free disk space" in said.value.fix
    assert shutil.disk_usage(small.paths.home).free > DISK * 0.9
    assert "is damaged" not in release.paths.log.read_text()
    # The next release needs no help.
    again = small.release(OLD, source=from_git(repository.first, repository.url))
    source.fetch(again)
    assert "first" in (again.paths.source / "Dockerfile").read_text()


def test_a_fetch_leaves_room_for_the_checkout(small: App, repository: Repository) -> None:
    """The pack is copied once, and its files are written beside it. Nothing of it stays."""
    commit = large(repository, 0, 8 << 20)
    release = small.release(source=from_git(commit, repository.url))
    with pytest.raises(Failure, match=r"needs .* or more; the disk of .* has .* free"):
        source.fetch(release)
    assert shutil.disk_usage(small.paths.home).free > DISK * 0.9
    assert not list(release.paths.home.glob(".source*"))


LEFT = ("objects/pack/tmp_pack_x1", "objects/ab/tmp_obj_x1", "objects/pack/a.pack.temp", "x.lock")
KEPT = ("refs/gpuhost/heads/tmp_x", "refs/gpuhost/heads/objects/tmp_x")


def test_what_a_killed_fetch_left_is_deleted_before_the_next(
    app: App, repository: Repository
) -> None:
    source.fetch(app.release(OLD, source=from_git(repository.first, repository.url)))
    for name in (*LEFT, *KEPT):
        (app.paths.git / name).parent.mkdir(parents=True, exist_ok=True)
        (app.paths.git / name).write_text(f"{repository.first}\n")
    source.fetch(app.release(NEW, source=from_git(repository.second, repository.url)))
    assert [name for name in LEFT if (app.paths.git / name).exists()] == []
    assert [name for name in KEPT if not (app.paths.git / name).exists()] == []
