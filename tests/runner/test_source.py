"""Build contexts: a commit of a repository, or an archive, whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner import commands, git, proxy, source
from gpuhost.runner.failure import Failure
from gpuhost.runner.git_access import askpass_script
from gpuhost.runner.log import Log
from gpuhost.runner.plan import Source
from tests.runner import git_server
from tests.runner.at_hand import NEW, OLD, App, app
from tests.runner.stand_in import come_first, tool

__all__ = ["app"]

TOKEN = "tok-3n-$ecret' \"x"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc\r\n-----END OPENSSH PRIVATE KEY-----"
FEW = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}


class Repository:
    """A bare repository with two commits, and somebody who pushes to it."""

    def __init__(self, directory: Path, name: str = "one.git") -> None:
        self.home = directory / name
        self.work = directory / f"work-{name}"
        self.git(directory, "init", "-q", "--bare", "-b", "main", str(self.home))
        self.git(directory, "clone", "-q", str(self.home), str(self.work))
        self.first = self.commit("first")
        self.second = self.commit("second")

    def git(self, where: Path, *words: str) -> str:
        who = ("-c", "user.name=me", "-c", "user.email=me@example", "-c", "init.defaultBranch=main")
        allowed = ("-c", "protocol.file.allow=always")
        command = ("git", *who, *allowed, *words)
        return subprocess.run(
            command, cwd=where, env=FEW, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def commit(self, text: str) -> str:
        (self.work / "Dockerfile").write_text(f"FROM scratch\n# {text}\n")
        self.git(self.work, "add", "-A")
        self.git(self.work, "commit", "-q", "-m", text)
        self.git(self.work, "push", "-q", "-f", "origin", "HEAD:main")
        return self.git(self.work, "rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return f"file://{self.home}"


@pytest.fixture(autouse=True)
def of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine decides, neither a git configuration nor a proxy."""
    real = commands.environment
    monkeypatch.setattr(commands, "environment", lambda extra: {**real(extra), "HOME": "/nowhere"})
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def from_git(revision: str, url: str, **more: Any) -> Source:
    return Source("git", revision, url=url, **more)


def held(home: Path) -> list[Path]:
    """Files that hold the token or the key."""
    files = [path for path in home.rglob("*") if path.is_file()]
    texts = (TOKEN, TOKEN.replace('"', '\\"'), "BEGIN OPENSSH")
    return [path for path in files if any(t.encode() in path.read_bytes() for t in texts)]


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
    with pytest.raises(Failure, match="has no commit 000000000000") as failure:
        source.fetch(release)
    assert "resolved anew" in failure.value.fix
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
        with pytest.raises(Failure, match=r"one\.git has no commit 0+1 any more"):
            source.fetch(gone)


def test_a_repository_that_is_not_there(app: App, repository: Repository) -> None:
    release = app.release(source=from_git(repository.first, f"{repository.url}x"))
    with pytest.raises(Failure, match="there is no such repository") as failure:
        source.fetch(release)
    assert "does not appear to be a git repository" in "\n".join(failure.value.output)


@pytest.mark.parametrize("revision", ["main", "--upload-pack=touch /tmp/x", "abc", "A" * 40, ""])
def test_only_a_whole_hash_is_a_commit(app: App, repository: Repository, revision: str) -> None:
    with pytest.raises(Failure, match="not a commit's whole hash"):
        source.fetch(app.release(source=from_git(revision, repository.url)))


def test_no_git(app: App, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    release = app.release(source=from_git(repository.first, repository.url))
    monkeypatch.setattr(commands, "PATH", "/nowhere")
    with pytest.raises(Failure, match="there is no git on this host") as failure:
        source.fetch(release)
    assert failure.value.fix == "apt-get install git"


def test_a_token_opens_the_repository_and_is_nowhere_else(
    app: App, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root's own git stores passwords, and has a hook.
    home = tmp_path / "home"
    hook = tool(home, "post-checkout", f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (home / ".gitconfig").write_text(
        f"[credential]\nhelper = store\n[core]\nhooksPath = {hook.parent}\n"
    )
    real = commands.environment
    monkeypatch.setattr(commands, "environment", lambda extra: {**real(extra), "HOME": str(home)})
    with git_server.smart(repository.home.parent, f"ada:{TOKEN}") as address:
        release = app.release(
            given={"TOKEN": TOKEN},
            source=from_git(repository.first, f"{address}/one.git", token="TOKEN", user="ada"),
        )
        source.fetch(release)
    assert "first" in (release.paths.source / "Dockerfile").read_text()
    assert held(app.paths.home) == [release.paths.given]
    assert sorted(path.name for path in home.iterdir()) == [".gitconfig", "post-checkout"]
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("more", [{}, {"token": "TOKEN", "user": "ada"}])
def test_a_wrong_token_or_none(app: App, repository: Repository, more: dict[str, str]) -> None:
    with git_server.smart(repository.home.parent, "ada:another") as address:
        release = app.release(
            given={"TOKEN": TOKEN},
            source=from_git(repository.first, f"{address}/one.git", **more),
        )
        with pytest.raises(Failure, match="authentication failed") as failure:
            source.fetch(release)
    assert "source.token" in failure.value.fix
    assert held(app.paths.home) == [release.paths.given]


def test_a_secret_that_was_not_given(app: App, repository: Repository) -> None:
    release = app.release(source=from_git(repository.first, repository.url, token="TOKEN"))
    with pytest.raises(Failure, match="the secret TOKEN, which was not given"):
        source.fetch(release)


@pytest.mark.parametrize(
    ("url", "prompt", "answer"),
    [
        ("https://git.example/a.git", "Username for 'https://git.example': ", "ada"),
        ("https://git.example/a.git", "Password for 'https://ada@git.example': ", TOKEN),
        ("https://bob@git.example/a.git", "Username for 'https://git.example': ", "bob"),
        ("https://bob@git.example:8443/a.git", "Password for 'https://bob@git.example:8443': ",
         TOKEN),
        ("https://git.example/a.git", "Password for 'https://ada@evil.example': ", None),
        ("https://git.example/a.git", "Password for 'https://git.example.evil': ", None),
        ("https://git.example/a.git", "Password for 'http://ada@git.example': ", None),
        ("https://git.example/a.git", "Username for 'https://evil.example': ", None),
        ("https://git.example/a.git", "Password for 'https://ada@git.example:8443': ", None),
        ("https://g*t.example/a.git", "Password for 'https://gut.example': ", None),
        ("https://git.example/a.git", "Are you sure (yes/no)? ", None),
        ("https://git.example/$(id)'a", "Username for 'https://git.example': ", "ada"),
    ],
)  # fmt: skip
def test_the_token_is_for_its_own_server_alone(
    tmp_path: Path, url: str, prompt: str, answer: str | None
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    script = askpass_script(from_git("", url, user="ada"), tmp_path / "token")
    said = subprocess.run(
        ["sh", "-c", script, "askpass", prompt], stdout=subprocess.PIPE, text=True
    )
    assert (said.stdout.strip("\n") or None) == answer
    assert (said.returncode == 0) == (answer is not None)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """An ssh that does here what it is asked to do there, and tells how it was called."""
    record = tmp_path / "ssh.json"
    tool(
        tmp_path / "bin",
        "ssh",
        "#!/usr/bin/env python3\n"
        "import json, os, sys\n"
        "files = {}\n"
        "for word in sys.argv[1:]:\n"
        "    name, _, path = word.partition('=')\n"
        "    if os.path.isfile(path):\n"
        "        mode = oct(os.stat(path).st_mode & 0o7777)\n"
        "        files[name] = (open(path, newline='').read(), mode)\n"
        f"told = {{'words': sys.argv[1:], 'files': files}}\n"
        f"json.dump(told, open({str(record)!r}, 'w'))\n"
        "os.execvp('sh', ['sh', '-c', sys.argv[-1]])\n",
    )
    come_first(monkeypatch, tmp_path / "bin")

    def told() -> dict[str, Any]:
        value: dict[str, Any] = json.loads(record.read_text())
        return value

    return told


def test_a_deploy_key_is_used_and_nothing_else(
    app: App, repository: Repository, ssh: Callable[[], dict[str, Any]]
) -> None:
    lines = ("git.example ssh-ed25519 AAAA", "git.example ssh-rsa BBBB")
    release = app.release(
        given={"KEY": KEY},
        source=from_git(
            repository.first,
            f"git@git.example:{repository.home}",
            deploy_key="KEY",
            known_hosts=lines,
        ),
    )
    source.fetch(release)
    assert "first" in (release.paths.source / "Dockerfile").read_text()
    told = ssh()
    assert {"IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(
        told["words"]
    )
    key, mode = told["files"]["IdentityFile"]
    assert key == KEY.replace("\r\n", "\n") + "\n"
    assert mode == "0o600"
    assert told["files"]["UserKnownHostsFile"] == ["\n".join(lines) + "\n", "0o600"]
    # Gone with the fetch: the secret's own file is the only one.
    assert held(app.paths.home) == [release.paths.given]


def test_a_host_key_is_taken_at_first_sight_into_the_apps_own_file(
    app: App, repository: Repository, ssh: Callable[[], dict[str, Any]]
) -> None:
    release = app.release(
        source=from_git(repository.first, f"ssh://git@git.example{repository.home}")
    )
    source.fetch(release)
    words = ssh()["words"]
    assert "StrictHostKeyChecking=accept-new" in words
    assert f"UserKnownHostsFile={app.paths.known_hosts}" in words
    assert not any("IdentityFile" in word for word in words)


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
        with pytest.raises(Failure, match="by file, which is not allowed"):
            source.fetch(release)
    assert not release.paths.source.exists()


def test_files_under_lfs_are_named(app: App, repository: Repository) -> None:
    (repository.work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    release = app.release(source=from_git(repository.commit("lfs"), repository.url))
    source.fetch(release)
    assert "under Git LFS are pointers" in release.paths.log.read_text()


def test_commits_that_no_release_has_may_go(app: App, repository: Repository) -> None:
    for release_id, revision in ((OLD, repository.first), (NEW, repository.second)):
        source.fetch(release := app.release(release_id, source=from_git(revision, repository.url)))
    git.forget(release, {repository.second})
    kept = repository.git(app.paths.git, "for-each-ref", "--format=%(refname)", git.KEPT)
    assert kept == f"{git.KEPT}{repository.second}"
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"proxies": {"default": {"httpProxy": "http://u:pa55word@p:1", "httpsProxy": '
            '"http://p:2", "noProxy": "a,b"}}, "auths": {}}',
            {
                "http_proxy": "http://u:pa55word@p:1",
                "https_proxy": "http://p:2",
                "HTTPS_PROXY": "http://p:2",
                "no_proxy": "a,b",
                "NO_PROXY": "a,b",
            },
        ),
        ('{"proxies": {"default": {"httpProxy": "http://[", "httpsProxy": ""}}}',
         {"http_proxy": "http://["}),
        ('{"proxies": {"default": 1}}', {}),
        ('{"proxies": []}', {}),
        ("[]", {}),
        ("{", {}),
        (None, {}),
    ],
)  # fmt: skip
def test_the_proxy_of_roots_docker_client_is_gits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    if text is not None:
        proxy.CLIENT.write_text(text)
    log = Log(tmp_path / "log")
    assert proxy.environment(log) == expected
    said = log.masked("fatal: unable to access via http://u:pa55word@p:1")
    assert ("pa55word" in said) == (not any("pa55word" in value for value in expected.values()))
