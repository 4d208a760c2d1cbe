"""Root's own git settings and passwords: a source may need some, its author gets none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gpuhost.runner.git.commands import LOCAL, Git
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.stages import source
from gpuhost.runner.state.release import Release
from tests.runner import git_server
from tests.runner.fake_tools import tool
from tests.runner.host_fixtures import App, app
from tests.runner.repositories import TOKEN, Repository, from_git, isolated_host, repository

__all__ = ["app", "isolated_host", "repository"]

LOGIN = "ada:of-root"


@pytest.fixture
def home(tmp_path: Path, isolated_host: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root's. A file `system` in it is /etc/gitconfig."""
    place = tmp_path / "home"
    place.mkdir()
    own = {**commands.environment({}), "HOME": str(place)}
    own["GIT_CONFIG_SYSTEM"] = str(place / "system")

    def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
        return {**own, **(extra or {})}

    monkeypatch.setattr(commands, "environment", environment)
    return place


class Servers:
    """One for everybody, and one that asks for a login."""

    def __init__(self, public: str, private: str, repository: Repository, inner: Repository):
        self.public, self.private = public, private
        self.repository, self.inner = repository, inner

    def release(self, app: App, address: str) -> Release:
        """Of a source with a submodule at this address."""
        where = self.repository
        lines = f'[submodule "sub"]\n\tpath = sub\n\turl = {address}\n'
        (where.work / ".gitmodules").write_text(lines)
        where.git(where.work, "add", ".gitmodules")
        info = f"160000,{self.inner.second},sub"
        where.git(where.work, "update-index", "--add", "--cacheinfo", info)
        where.git(where.work, "commit", "-q", "-m", "sub")
        where.git(where.work, "push", "-q", "-f", "origin", "HEAD:main")
        revision = where.git(where.work, "rev-parse", "HEAD")
        return app.release(source=from_git(revision, f"{self.public}/one.git"))


@pytest.fixture
def servers(tmp_path: Path, repository: Repository) -> Iterator[Servers]:
    inner = Repository(tmp_path, "inner.git")
    with git_server.smart(tmp_path) as public, git_server.smart(tmp_path, LOGIN) as private:
        yield Servers(public, private, repository, inner)


def netrc(home: Path, server: str) -> str:
    """The address of the submodule. It opens that server."""
    (home / ".netrc").write_text("machine 127.0.0.1 login ada password of-root\n")
    return server


def instead(home: Path, server: str, name: str = ".gitconfig") -> str:
    """Likewise."""
    with_login = server.replace("://", f"://{LOGIN}@")
    text = f'[url "{with_login}"]\n\tinsteadOf = http://git.invalid\n'
    (home / name).write_text(text)
    return "http://git.invalid"


def instead_of_all(home: Path, server: str) -> str:
    return instead(home, server, "system")


def header(home: Path, server: str) -> str:
    lines = f'[http "{server}"]\n\textraHeader = "Authorization: Basic YWRhOm9mLXJvb3Q="\n'
    (home / ".gitconfig").write_text(lines)
    return server


@pytest.mark.parametrize("password", [netrc, instead, instead_of_all, header])
def test_a_password_of_root_opens_a_source_and_no_submodule(
    app: App, servers: Servers, home: Path, password: object
) -> None:
    address = password(home, servers.private)  # type: ignore[operator]
    release = servers.release(app, f"{address}/inner.git")
    with pytest.raises(Failure, match="git fetch of the submodule sub"):
        source.fetch(release)
    assert not release.paths.source.exists()
    own = from_git(servers.inner.second, f"{address}/inner.git")
    source.fetch(app.release("20260103-000000-cccccccc", source=own))


def test_the_apps_token_opens_a_submodule_on_the_sources_server(
    app: App, servers: Servers, tmp_path: Path
) -> None:
    with git_server.smart(tmp_path, f"ada:{TOKEN}") as own:
        servers.public = own
        commit = servers.release(app, "../inner.git").plan.source
        assert commit is not None
        token = from_git(commit.revision, f"{own}/one.git", token="TOKEN", user="ada")
        release = app.release("20260103-000000-cccccccc", given={"TOKEN": TOKEN}, source=token)
        source.fetch(release)
        assert (release.paths.source / "sub/Dockerfile").exists()


@pytest.mark.parametrize("name", [".gitconfig", "system"])
def test_no_filter_of_root_changes_or_reads_a_file(
    app: App, repository: Repository, home: Path, tmp_path: Path, name: str
) -> None:
    """Such as Git LFS, which would ask another server for the file's content."""
    smudge = f"tee {tmp_path}/smudged"
    for kind in ("x", "lfs"):
        with (home / name).open("a") as file:
            file.write(f'[filter "{kind}"]\n\tsmudge = {smudge}\n\trequired = true\n')
    (repository.work / ".gitattributes").write_text("*file filter=x\n* filter=lfs\n")
    source.fetch(app.release(source=from_git(repository.commit("of"), repository.url)))
    assert not (tmp_path / "smudged").exists()


@pytest.mark.parametrize("hook", ["reference-transaction", "post-checkout"])
def test_no_hook_of_root_is_run(
    app: App, repository: Repository, home: Path, tmp_path: Path, hook: str
) -> None:
    hooks = tool(home / "hooks", hook, f"#!/bin/sh\necho $0 $* >>{tmp_path}/hooked\n").parent
    (home / ".gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n")
    repository.git(repository.home, "update-server-info")
    # All branches are fetched then, and written as refs.
    with git_server.plain(tmp_path) as address:
        source.fetch(app.release(source=from_git(repository.first, f"{address}/one.git")))
    assert not (tmp_path / "hooked").exists()


def test_an_address_is_no_option(tmp_path: Path, repository: Repository) -> None:
    git = Git(NOWHERE)
    git.begin(tmp_path / "made", "")
    address = f"--upload-pack=touch {tmp_path}/run;false"
    with pytest.raises(Failure):
        git.fetch(tmp_path / "made/.git", address, repository.url, LOCAL, name="it")
    assert not (tmp_path / "run").exists()
