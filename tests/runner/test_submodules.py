"""Submodules are checked out with the limits of a source, however many an author nests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuhost.runner.git import commit_size, submodules
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner import git_server
from tests.runner.host_fixtures import App, app
from tests.runner.repositories import Repository, from_git, isolated_host, repository
from tests.runner.test_source_sizes import bomb

__all__ = ["app", "isolated_host", "repository"]


class Server:
    """+ inner: the repository of the submodules"""

    def __init__(self, address: str, repository: Repository, inner: Repository) -> None:
        self.address, self.repository, self.inner = address, repository, inner

    def commit(self, where: Repository, modules: dict[str, str], more: str = "") -> str:
        """+ modules: path to a commit of `inner`; + more: lines of each in .gitmodules"""
        lines = [
            f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../inner.git\n\t{more}\n'
            for path in modules
        ]
        (where.work / ".gitmodules").write_text("".join(lines))
        where.git(where.work, "add", ".gitmodules")
        for path, commit in modules.items():
            info = f"160000,{commit},{path}"
            where.git(where.work, "update-index", "--add", "--cacheinfo", info)
        where.git(where.work, "commit", "-q", "-m", "submodules")
        where.git(where.work, "push", "-q", "-f", "origin", "HEAD:main")
        return where.git(where.work, "rev-parse", "HEAD")

    def release(self, app: App, modules: dict[str, str], more: str = "") -> Release:
        revision = self.commit(self.repository, modules, more)
        return app.release(source=from_git(revision, f"{self.address}/one.git"))


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[Server]:
    with git_server.smart(tmp_path) as address:
        yield Server(address, repository, Repository(tmp_path, "inner.git"))


def refused(release: Release) -> str:
    """The reason. Nothing stays."""
    with pytest.raises(Failure) as failure:
        source.fetch(release)
    assert failure.value.fix
    assert not release.paths.source.exists()
    assert not list(release.paths.home.glob(".source*"))
    return failure.value.said


def test_a_submodule_with_more_files_than_a_host_can_have(
    app: App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_size, "MOST_FILES", 5000)
    said = refused(server.release(app, {"sub": bomb(server.inner, 9)}))
    assert "has more than 5000 files" in said


def test_the_files_of_all_submodules_count(
    app: App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_size, "MOST_FILES", 250)
    small = bomb(server.inner, 2)
    said = refused(server.release(app, {"a": small, "b": small, "c": small}))
    assert "has more than 250 files and directories with those beside it" in said


def test_a_submodule_that_is_larger_than_the_disk(
    app: App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = server.release(app, {"sub": server.inner.first})
    blocks = iter([4096, 1 << 60])
    real = commit_size.require_room

    def room(*words: object) -> int:
        monkeypatch.setattr(commit_size, "BLOCK", next(blocks))
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr("gpuhost.runner.git.commands.require_room", room)
    said = refused(release)
    assert f"commit {server.inner.first} needs" in said


def test_the_submodules_of_submodules_count(
    app: App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submodules, "MOST", 5)
    inner = server.commit(server.inner, {"x": server.inner.first, "y": server.inner.second})
    said = refused(server.release(app, {"a": inner, "b": inner}))
    assert "has more than 5 submodules" in said


def test_submodules_of_submodules_have_their_commits(app: App, server: Server) -> None:
    inner = server.commit(server.inner, {"x/y": server.inner.first})
    release = server.release(app, {"a": inner, "b": server.inner.second})
    source.fetch(release)
    top = release.paths.source
    texts = {path: (top / path / "Dockerfile").read_text() for path in ("a", "a/x/y", "b")}
    assert {path: text.split()[-1] for path, text in texts.items()} == {
        "a": "second",
        "a/x/y": "first",
        "b": "second",
    }
    status = server.repository.git(top, "submodule", "status", "--recursive")
    assert [line.split()[1] for line in status.splitlines()] == ["a", "a/x/y", "b"]
    assert not [line for line in status.splitlines() if line.startswith(("-", "+", "U"))]
    assert server.repository.git(top, "status", "--porcelain") == ""


def test_a_submodule_that_is_not_to_be_updated_stays_empty(app: App, server: Server) -> None:
    release = server.release(app, {"sub": server.inner.first}, more="update = none")
    source.fetch(release)
    assert list((release.paths.source / "sub").iterdir()) == []


def test_a_file_with_submodules_that_is_a_link_to_the_host_is_refused(
    app: App, server: Server, tmp_path: Path
) -> None:
    """By git itself: our own look at it relies on that."""
    release_of_host = server.release(app, {"sub": server.inner.first})
    where = server.repository
    (tmp_path / "of-the-host").write_text((where.work / ".gitmodules").read_text())
    (where.work / ".gitmodules").unlink()
    (where.work / ".gitmodules").symlink_to(tmp_path / "of-the-host")
    where.git(where.work, "add", ".gitmodules")
    where.git(where.work, "commit", "-q", "-m", "a link")
    where.git(where.work, "push", "-q", "-f", "origin", "HEAD:main")
    revision = where.git(where.work, "rev-parse", "HEAD")
    release = app.release(
        "20260103-000000-cccccccc", source=from_git(revision, f"{server.address}/one.git")
    )
    with pytest.raises(Failure, match=r"invalid path '\.gitmodules'"):
        source.fetch(release)
    assert not release.paths.source.exists()
    assert release_of_host.plan.id != release.plan.id


def test_no_submodule_is_fetched_through_a_link(
    app: App, server: Server, repository: Repository, tmp_path: Path
) -> None:
    """A tree may have two entries of one name: git writes the link, and lists the submodule."""

    def written(kind: str, content: bytes) -> str:
        words = ("git", "hash-object", "-w", "--literally", "--stdin", "-t", kind)
        ended = subprocess.run(
            words, cwd=repository.work, input=content, check=True, stdout=subprocess.PIPE
        )
        return ended.stdout.decode().strip()

    def tree(*entries: tuple[str, str, str]) -> str:
        lines = [f"{mode} {name}\0".encode() + bytes.fromhex(it) for mode, name, it in entries]
        return written("tree", b"".join(lines))

    outside = tmp_path / "outside"
    outside.mkdir()
    modules = b'[submodule "s"]\n\tpath = a/b\n\turl = ../inner.git\n'
    top = tree(
        ("100644", ".gitmodules", written("blob", modules)),
        ("40000", "a", tree(("160000", "b", server.inner.first))),
        ("120000", "a", written("blob", str(outside).encode())),
    )
    commit = repository.git(repository.work, "commit-tree", "-m", "two of one name", top)
    repository.git(repository.work, "push", "-q", "origin", f"{commit}:refs/heads/two")
    release = app.release(source=from_git(commit, f"{server.address}/one.git"))
    assert "the submodule a/b goes through a link of the source" in refused(release)
    assert list(outside.iterdir()) == []
