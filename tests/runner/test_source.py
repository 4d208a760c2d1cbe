"""Build contexts: a commit of a repository or an archive, complete or missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gpuhost.runner.git import checkout
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.stages import source
from tests.runner import git_server
from tests.runner.host_fixtures import NEW, OLD, App, app
from tests.runner.repositories import (
    KEY,
    Repository,
    files_with_credentials,
    from_git,
    isolated_host,
    repository,
)

__all__ = ["app", "isolated_host", "repository"]


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_commit_is_checked_out_completely(app: App, repository: Repository, which: str) -> None:
    revision = getattr(repository, which)
    release = app.release(source=from_git(revision, repository.url))
    source.fetch(release)
    assert which in (release.paths.source / "Dockerfile").read_text()
    assert repository.git(release.paths.source, "rev-parse", "HEAD") == revision
    assert repository.git(release.paths.source, "status", "--porcelain") == ""
    # Its .git is self-contained: a build may copy it.
    assert not (release.paths.source / ".git/objects/info/alternates").exists()
    assert not (release.paths.source / ".git/hooks").exists()
    assert [path.name for path in release.paths.home.glob(".source*")] == []


def test_a_fetched_commit_is_not_fetched_again(app: App, repository: Repository) -> None:
    source.fetch(app.release(OLD, source=from_git(repository.second, repository.url)))
    repository.home.rename(repository.home.with_name("away"))
    release = app.release(NEW, source=from_git(repository.second, repository.url))
    source.fetch(release)
    assert "second" in (release.paths.source / "Dockerfile").read_text()
    # A release that has its source runs no git at all.
    before = release.log._path.read_text()
    app.paths.git.rename(app.paths.git.with_name("git-away"))
    source.fetch(release)
    assert "fetching" not in release.log._path.read_text().removeprefix(before)


@pytest.mark.parametrize("left", ["source", "lock", "access", "empty copy"])
def test_an_interrupted_fetch_is_repeated(app: App, repository: Repository, left: str) -> None:
    release = app.release(source=from_git(repository.first, repository.url))
    if left == "source":
        (release.paths.home / ".source.new" / ".git").mkdir(parents=True)
        (release.paths.home / ".source.new" / "Dockerfile").write_text("half")
    elif left == "lock":
        source.fetch(app.release(OLD, source=from_git(repository.second, repository.url)))
        # Of a git that was killed.
        shutil.copytree(app.paths.git, app.paths.new_git)
        (app.paths.new_git / "shallow.lock").touch()
        (app.paths.new_git / "config.lock").touch()
    elif left == "access":
        (release.paths.home / "access").mkdir()
        (release.paths.home / "access" / "key").write_text(KEY)
    else:
        (app.paths.git / "objects").mkdir(parents=True)
    source.fetch(release)
    assert "first" in (release.paths.source / "Dockerfile").read_text()
    assert files_with_credentials(app.paths.home) == []


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_damaged_copy_is_fetched_again(app: App, repository: Repository, damage: str) -> None:
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


@pytest.mark.parametrize("words", ["object file x is empty", "File too large", "is corrupt"])
def test_the_words_of_a_server_say_nothing_of_the_hosts_disk(
    app: App, repository: Repository, words: str
) -> None:
    first = app.release(OLD, source=from_git(repository.first, repository.url))
    source.fetch(first)
    (app.paths.git / "marker").touch()
    with git_server.refusing(repository.home.parent, words) as address:
        release = app.release(source=from_git(repository.second, f"{address}/one.git"))
        with pytest.raises(Failure, match=f"git fetch of .*{words}"):
            source.fetch(release)
    assert (app.paths.git / "marker").exists()


def test_a_copy_that_lacks_what_a_fetch_needs_is_fetched_again(
    app: App, repository: Repository
) -> None:
    source.fetch(app.release(OLD, source=from_git(repository.first, repository.url)))
    for path in app.paths.git.rglob("pack-*"):
        path.unlink()
    source.fetch(release := app.release(source=from_git(repository.second, repository.url)))
    assert "second" in (release.paths.source / "Dockerfile").read_text()


def test_a_missing_commit(app: App, repository: Repository) -> None:
    release = app.release(source=from_git("0" * 39 + "1", repository.url))
    with pytest.raises(Failure, match="no longer has commit 000000000000") as failure:
        source.fetch(release)
    assert "resolves source.ref" in failure.value.fix
    assert not release.paths.source.exists()


def test_a_dumb_http_server_can_deliver_an_older_commit(app: App, repository: Repository) -> None:
    repository.git(repository.home, "update-server-info")
    with git_server.plain(repository.home.parent) as address:
        release = app.release(source=from_git(repository.first, f"{address}/one.git"))
        source.fetch(release)
        assert "first" in (release.paths.source / "Dockerfile").read_text()
        gone = app.release(OLD, source=from_git("0" * 39 + "1", f"{address}/one.git"))
        with pytest.raises(Failure, match=r"one\.git no longer has commit 0+1"):
            source.fetch(gone)


def test_a_missing_repository(app: App, repository: Repository) -> None:
    release = app.release(source=from_git(repository.first, f"{repository.url}x"))
    with pytest.raises(Failure, match="no such repository") as failure:
        source.fetch(release)
    assert "does not appear to be a git repository" in "\n".join(failure.value.output)


@pytest.mark.parametrize("revision", ["main", "--upload-pack=touch /tmp/x", "abc", "A" * 40, ""])
def test_only_a_full_hash_is_a_commit(app: App, repository: Repository, revision: str) -> None:
    with pytest.raises(Failure, match="not a full commit hash"):
        source.fetch(app.release(source=from_git(revision, repository.url)))


def test_git_is_not_installed(
    app: App, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = app.release(source=from_git(repository.first, repository.url))
    monkeypatch.setattr(commands, "PATH", "/nowhere")
    with pytest.raises(Failure, match="git is not installed on this host") as failure:
        source.fetch(release)
    assert failure.value.fix == "run apt-get install git"


def test_submodules_are_checked_out_at_their_recorded_commit(
    app: App, tmp_path: Path, repository: Repository
) -> None:
    inner = Repository(tmp_path, "inner.git")
    repository.git(repository.work, "submodule", "add", "-q", "../inner.git", "models/inner")
    revision = repository.commit("with a submodule")
    with git_server.smart(repository.home.parent) as address:
        ours = from_git(revision, f"{address}/one.git")
        source.fetch(release := app.release(source=ours))
        assert "second" in (release.paths.source / "models/inner/Dockerfile").read_text()
        # The recorded commit of the submodule, not the tip of its branch.
        inner.commit("third")
        source.fetch(again := app.release(OLD, source=ours))
        assert "second" in (again.paths.source / "models/inner/Dockerfile").read_text()


@pytest.mark.parametrize(
    ("origin", "named"),
    [("server", "file://{home}"), ("host", "file://{home}"), ("host", "../inner.git")],
)
def test_a_submodule_cannot_read_local_repositories(
    app: App, tmp_path: Path, repository: Repository, origin: str, named: str
) -> None:
    """Also not those beside a repository of this host: they may be of somebody else."""
    inner = Repository(tmp_path, "inner.git")
    url = named.format(home=inner.home)
    repository.git(repository.work, "submodule", "add", "-q", url, "inner")
    revision = repository.commit("with a submodule")
    with git_server.smart(repository.home.parent) as address:
        own = f"{address}/one.git" if origin == "server" else repository.url
        release = app.release(source=from_git(revision, own))
        with pytest.raises(Failure, match="the submodule inner has no http or ssh address"):
            source.fetch(release)
    assert not release.paths.source.exists()
    assert list(release.paths.home.glob(".source*")) == []


def test_git_lfs_files_are_logged(app: App, repository: Repository) -> None:
    (repository.work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    release = app.release(source=from_git(repository.commit("lfs"), repository.url))
    source.fetch(release)
    assert "in Git LFS are not fetched" in release.paths.log.read_text()


@pytest.mark.parametrize(
    ("attribute", "content"),
    [
        ("working-tree-encoding=ASCII//TRANSLIT", "\u2170nclude: [/elsewhere]\n"),
        ("working-tree-encoding=UTF-32", "services: {}\n"),
        ("text eol=crlf", "one\ntwo\n"),
        ("ident", "$Id$\n"),
        ("filter=lfs", "version 1\n"),
    ],
)
def test_files_have_the_bytes_of_the_commit(
    app: App, repository: Repository, attribute: str, content: str
) -> None:
    (repository.work / "compose.yaml").write_bytes(content.encode())
    repository.commit("without attributes: git would convert what is added")
    (repository.work / ".gitattributes").write_text(f"compose.yaml {attribute}\n")
    repository.git(repository.work, "add", ".gitattributes")
    repository.git(repository.work, "commit", "-q", "-m", "attributes")
    repository.git(repository.work, "push", "-q", "origin", "HEAD:main")
    commit = repository.git(repository.work, "rev-parse", "HEAD")
    release = app.release(source=from_git(commit, repository.url))
    source.fetch(release)
    assert (release.paths.source / "compose.yaml").read_bytes() == content.encode()
    # A version that is read from .git is not one of changed files.
    assert repository.git(release.paths.source, "status", "--porcelain") == ""


def test_attributes_that_are_a_link_are_not_read(
    app: App, repository: Repository, tmp_path: Path
) -> None:
    """It may lead to any file of the host, also to one that never ends."""
    (tmp_path / "of-the-host").write_text("*.bin filter=lfs\n")
    (repository.work / ".gitattributes").symlink_to(tmp_path / "of-the-host")
    release = app.release(source=from_git(repository.commit("link"), repository.url))
    source.fetch(release)
    assert "Git LFS" not in release.paths.log.read_text()


def test_commits_without_a_release_are_forgotten(app: App, repository: Repository) -> None:
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


def test_a_release_without_a_source(app: App) -> None:
    release = app.release()
    source.fetch(release)
    source.fetch(release)
    assert list(release.paths.source.iterdir()) == []


def test_an_unknown_kind_of_source(app: App) -> None:
    with pytest.raises(Failure, match="'hg'"):
        source.fetch(app.release(source=Source("hg", "x")))
