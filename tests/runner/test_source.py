"""Build contexts: a commit of a repository, or an archive, whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.runner.git import checkout
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.stages import source
from tests.runner import git_server
from tests.runner.at_hand import NEW, OLD, App, app
from tests.runner.repositories import KEY, Repository, from_git, held, of_the_host, repository

__all__ = ["app", "of_the_host", "repository"]


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_commit_is_checked_out_whole(app: App, repository: Repository, which: str) -> None:
    revision = getattr(repository, which)
    release = app.release(source=from_git(revision, repository.url))
    source.fetch(release)
    assert which in (release.paths.source / "Dockerfile").read_text()
    assert repository.git(release.paths.source, "rev-parse", "HEAD") == revision
    assert repository.git(release.paths.source, "status", "--porcelain") == ""
    # Its .git needs nothing from outside: a build may copy it.
    assert not (release.paths.source / ".git/objects/info/alternates").exists()
    assert [path.name for path in release.paths.home.glob(".source*")] == []


def test_what_was_fetched_is_not_fetched_again(app: App, repository: Repository) -> None:
    source.fetch(app.release(OLD, source=from_git(repository.second, repository.url)))
    repository.home.rename(repository.home.with_name("away"))
    release = app.release(NEW, source=from_git(repository.second, repository.url))
    source.fetch(release)
    assert "second" in (release.paths.source / "Dockerfile").read_text()
    # And a release that has it asks for nothing at all.
    before = release.log._path.read_text()
    app.paths.git.rename(app.paths.git.with_name("git-away"))
    source.fetch(release)
    assert "fetching" not in release.log._path.read_text().removeprefix(before)


@pytest.mark.parametrize("left", ["source", "lock", "access", "empty copy"])
def test_it_is_done_again_after_it_was_cut_off(app: App, repository: Repository, left: str) -> None:
    release = app.release(source=from_git(repository.first, repository.url))
    if left == "source":
        (release.paths.home / ".source.new" / ".git").mkdir(parents=True)
        (release.paths.home / ".source.new" / "Dockerfile").write_text("half")
    elif left == "lock":
        source.fetch(app.release(OLD, source=from_git(repository.second, repository.url)))
        (app.paths.git / "shallow.lock").touch()
        (app.paths.git / "config.lock").touch()
    elif left == "access":
        (release.paths.home / "access").mkdir()
        (release.paths.home / "access" / "key").write_text(KEY)
    else:
        (app.paths.git / "objects").mkdir(parents=True)
    source.fetch(release)
    assert "first" in (release.paths.source / "Dockerfile").read_text()
    assert held(app.paths.home) == []


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_damaged_copy_is_fetched_anew(app: App, repository: Repository, damage: str) -> None:
    source.fetch(app.release(OLD, source=from_git(repository.second, repository.url)))
    blob = repository.git(repository.work, "rev-parse", "HEAD:Dockerfile")
    for path in app.paths.git.rglob("pack-*"):
        path.unlink()
    loose = app.paths.git / "objects" / blob[:2] / blob[2:]
    if loose.exists():
        loose.chmod(0o600)
        loose.unlink() if damage == "missing" else loose.write_bytes(b"")
    release = app.release(NEW, source=from_git(repository.second, repository.url))
    source.fetch(release)
    assert "second" in (release.paths.source / "Dockerfile").read_text()


def test_a_commit_that_is_gone(app: App, repository: Repository) -> None:
    release = app.release(source=from_git("0" * 39 + "1", repository.url))
    with pytest.raises(Failure, match="no longer has commit 000000000000") as failure:
        source.fetch(release)
    assert "resolves source.ref" in failure.value.fix
    assert not release.paths.source.exists()


def test_a_server_of_plain_files_gives_a_commit_that_is_no_tip(
    app: App, repository: Repository
) -> None:
    repository.git(repository.home, "update-server-info")
    with git_server.plain(repository.home.parent) as address:
        release = app.release(source=from_git(repository.first, f"{address}/one.git"))
        source.fetch(release)
        assert "first" in (release.paths.source / "Dockerfile").read_text()
        gone = app.release(OLD, source=from_git("0" * 39 + "1", f"{address}/one.git"))
        with pytest.raises(Failure, match=r"one\.git no longer has commit 0+1"):
            source.fetch(gone)


def test_a_repository_that_is_not_there(app: App, repository: Repository) -> None:
    release = app.release(source=from_git(repository.first, f"{repository.url}x"))
    with pytest.raises(Failure, match="no such repository") as failure:
        source.fetch(release)
    assert "does not appear to be a git repository" in "\n".join(failure.value.output)


@pytest.mark.parametrize("revision", ["main", "--upload-pack=touch /tmp/x", "abc", "A" * 40, ""])
def test_only_a_whole_hash_is_a_commit(app: App, repository: Repository, revision: str) -> None:
    with pytest.raises(Failure, match="not a full commit hash"):
        source.fetch(app.release(source=from_git(revision, repository.url)))


def test_no_git(app: App, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    release = app.release(source=from_git(repository.first, repository.url))
    monkeypatch.setattr(commands, "PATH", "/nowhere")
    with pytest.raises(Failure, match="git is not installed on this host") as failure:
        source.fetch(release)
    assert failure.value.fix == "run apt-get install git"


def test_submodules(app: App, tmp_path: Path, repository: Repository) -> None:
    inner = Repository(tmp_path, "inner.git")
    repository.git(repository.work, "submodule", "add", "-q", "../inner.git", "models/inner")
    revision = repository.commit("with a submodule")
    source.fetch(release := app.release(source=from_git(revision, repository.url)))
    assert "second" in (release.paths.source / "models/inner/Dockerfile").read_text()
    # What the submodule is at, not what its branch is at.
    inner.commit("third")
    source.fetch(again := app.release(OLD, source=from_git(revision, repository.url)))
    assert "second" in (again.paths.source / "models/inner/Dockerfile").read_text()


def test_a_submodule_does_not_reach_into_the_host(
    app: App, tmp_path: Path, repository: Repository
) -> None:
    inner = Repository(tmp_path, "inner.git")
    repository.git(repository.work, "submodule", "add", "-q", inner.url, "inner")
    revision = repository.commit("with a submodule")
    with git_server.smart(repository.home.parent) as address:
        release = app.release(source=from_git(revision, f"{address}/one.git"))
        with pytest.raises(Failure, match="the protocol file, which is not allowed"):
            source.fetch(release)
    assert not release.paths.source.exists()


def test_files_under_lfs_are_named(app: App, repository: Repository) -> None:
    (repository.work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    release = app.release(source=from_git(repository.commit("lfs"), repository.url))
    source.fetch(release)
    assert "in Git LFS are not fetched" in release.paths.log.read_text()


def test_commits_that_no_release_has_may_go(app: App, repository: Repository) -> None:
    for release_id, revision in ((OLD, repository.first), (NEW, repository.second)):
        source.fetch(release := app.release(release_id, source=from_git(revision, repository.url)))
    checkout.forget(release, {repository.second})
    kept = repository.git(app.paths.git, "for-each-ref", "--format=%(refname)", checkout.KEPT)
    assert kept == f"{checkout.KEPT}{repository.second}"
    repository.home.rename(repository.home.with_name("away"))
    third = app.release(
        "20260103-000000-cccccccc", source=from_git(repository.second, repository.url)
    )
    source.fetch(third)


def test_nothing_to_fetch(app: App) -> None:
    release = app.release()
    source.fetch(release)
    assert not release.paths.source.exists()


def test_a_kind_that_is_not_known(app: App) -> None:
    with pytest.raises(Failure, match="'hg'"):
        source.fetch(app.release(source=Source("hg", "x")))
