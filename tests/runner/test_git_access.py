"""Tokens and keys: they open the repository they are for, and are nowhere else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.git.access import askpass_script
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import source
from tests.runner import git_server
from tests.runner.at_hand import App, app
from tests.runner.repositories import (
    KEY,
    TOKEN,
    Repository,
    from_git,
    held,
    of_the_host,
    repository,
)
from tests.runner.stand_in import come_first, tool

__all__ = ["app", "of_the_host", "repository"]


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
    with pytest.raises(Failure, match=r"the secret TOKEN of source\.token is missing"):
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
