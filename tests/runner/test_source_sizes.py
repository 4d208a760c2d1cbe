"""How large, and how deep, what a repository's author writes may be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuhost.runner.data import seed
from gpuhost.runner.data.edits import apply_edits
from gpuhost.runner.git import commit_size
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear
from gpuhost.runner.plan import Edit
from gpuhost.runner.resolved import tree
from gpuhost.runner.stages import source as stage
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, app
from tests.runner.repositories import Repository, from_git, isolated_host, repository

__all__ = ["app", "isolated_host", "repository"]


@pytest.fixture
def deep(app: App) -> Iterator[Release]:
    """A release whose source has data/d/d/d/…/file."""
    release = app.release()
    release.source.mkdir()
    app.paths.shared.mkdir()
    make_deep(release.source / "data", 600)
    yield release
    # pytest deletes by recursion.
    clear(app.paths.home)


def make_deep(path: Path, levels: int) -> None:
    path.mkdir()
    number = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=number)
        inner = os.open("d", os.O_RDONLY, dir_fd=number)
        os.close(number)
        number = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=number))
    os.close(number)


@pytest.mark.parametrize("path", ["data", "."])
def test_a_tree_of_the_source_that_is_too_deep_is_refused(
    app: App, deep: Release, path: str
) -> None:
    with pytest.raises(Failure, match="directories in more than 256 levels"):
        tree.read(deep.source, app.paths.shared, [path])
    with pytest.raises(Failure, match="directories in more than 256 levels"):
        tree.keep(deep.source, path, "d1", app.paths.files)
    assert not (app.paths.files / "d1").exists()


def test_content_that_is_too_deep_is_not_copied_to_the_data(app: App, deep: Release) -> None:
    with pytest.raises(Failure, match=r"^copying data of the source to shared/: "):
        seed.seed(deep, "data")


def test_a_file_that_is_edited_has_a_largest_size(app: App, tmp_path: Path) -> None:
    with (tmp_path / "bundle.js").open("wb") as file:
        file.truncate((16 << 20) + 1)
    edit = Edit("bundle.js", "a", "b", "a try")
    with pytest.raises(Failure, match=r"bundle\.js in the source has 16 MB; the largest"):
        apply_edits([edit], tmp_path, app.release().log)


def bomb(repository: Repository, levels: int) -> str:
    """A commit of 10 ** levels files, in a few small objects."""

    def git(*words: str, text: str = "") -> str:
        command = ("git", "-c", "user.name=me", "-c", "user.email=me@example", *words)
        ended = subprocess.run(
            command, cwd=repository.work, input=text, check=True, stdout=subprocess.PIPE, text=True
        )
        return ended.stdout.strip()

    blob = git("hash-object", "-w", "--stdin", text="x")
    made = git("mktree", text="".join(f"100644 blob {blob}\tf{n}\n" for n in range(10)))
    for _ in range(levels - 1):
        made = git("mktree", text="".join(f"040000 tree {made}\td{n}\n" for n in range(10)))
    commit = git("commit-tree", "-m", "a bomb", made)
    git("push", "-q", "origin", f"{commit}:refs/heads/bomb")
    return commit


def test_a_commit_with_more_files_than_a_host_can_have(
    app: App, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_size, "MOST_FILES", 5000)
    release = app.release(source=from_git(bomb(repository, 9), repository.url))
    with pytest.raises(Failure, match="has more than 5000 files") as failure:
        stage.fetch(release)
    assert "source.ref" in failure.value.fix
    assert not list(release.paths.home.glob(".source*"))


def test_a_commit_that_is_larger_than_the_disk(
    app: App, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_size, "BLOCK", 1 << 60)
    release = app.release(source=from_git(repository.first, repository.url))
    with pytest.raises(Failure, match=r"needs .* or more; the disk of .* has .* free"):
        stage.fetch(release)
    assert not list(release.paths.home.glob(".source*"))
