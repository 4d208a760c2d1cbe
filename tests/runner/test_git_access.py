"""Git tokens and deploy keys: used for their own repository, and stored nowhere else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.git.access import askpass_script, logins_for
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import source
from tests.runner import git_server
from tests.runner.fake_tools import put_first_in_path, tool
from tests.runner.host_fixtures import App, app
from tests.runner.repositories import (
    KEY,
    TOKEN,
    Repository,
    files_with_credentials,
    from_git,
    isolated_host,
    repository,
)

__all__ = ["app", "isolated_host", "repository"]


def test_a_token_is_used_and_stored_nowhere_else(
    app: App, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root's own git configuration stores passwords, and has a hook.
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
    assert files_with_credentials(app.paths.home) == [release.paths.given]
    assert sorted(path.name for path in home.iterdir()) == [".gitconfig", "post-checkout"]
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("more", [{}, {"token": "TOKEN", "user": "ada"}])
def test_a_wrong_or_missing_token(app: App, repository: Repository, more: dict[str, str]) -> None:
    with git_server.smart(repository.home.parent, "ada:another") as address:
        release = app.release(
            given={"TOKEN": TOKEN},
            source=from_git(repository.first, f"{address}/one.git", **more),
        )
        with pytest.raises(Failure, match="authentication failed") as failure:
            source.fetch(release)
    assert "source.token" in failure.value.fix
    assert files_with_credentials(app.paths.home) == [release.paths.given]


def test_a_secret_without_a_value(app: App, repository: Repository) -> None:
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
        ("https://git.example/a.git", "Password for 'https://x@git.example'@evil.example': ", None),
        ("https://git.example/a.git", "Password for 'https://x'@git.example': ", None),
        ("https://git.example/a.git", "Username for 'https://git.example'@evil.example': ", None),
        ("https://git.example/a.git", "Password for 'https://x@git.example'evil': ", None),
        ("https://git.example/a.git", "Are you sure (yes/no)? ", None),
        ("https://git.example/$(id)'a", "Username for 'https://git.example': ", "ada"),
    ],
)  # fmt: skip
def test_the_token_is_sent_to_its_own_server_only(
    tmp_path: Path, url: str, prompt: str, answer: str | None
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    script = askpass_script(from_git("", url, user="ada"), tmp_path / "token")
    result = subprocess.run(
        ["sh", "-c", script, "askpass", prompt], stdout=subprocess.PIPE, text=True
    )
    assert (result.stdout.strip("\n") or None) == answer
    assert (result.returncode == 0) == (answer is not None)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """A fake ssh that runs the command locally, and returns how it was called."""
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
        f"call = {{'words': sys.argv[1:], 'files': files}}\n"
        f"json.dump(call, open({str(record)!r}, 'w'))\n"
        "os.execvp('sh', ['sh', '-c', sys.argv[-1]])\n",
    )
    put_first_in_path(monkeypatch, tmp_path / "bin")

    def recorded_call() -> dict[str, Any]:
        value: dict[str, Any] = json.loads(record.read_text())
        return value

    return recorded_call


def test_only_the_deploy_key_is_used(
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
    call = ssh()
    assert {"IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(
        call["words"]
    )
    key, mode = call["files"]["IdentityFile"]
    assert key == KEY.replace("\r\n", "\n") + "\n"
    assert mode == "0o600"
    assert call["files"]["UserKnownHostsFile"] == ["\n".join(lines) + "\n", "0o600"]
    # The fetch has removed its copies: only the file of the secret is left.
    assert files_with_credentials(app.paths.home) == [release.paths.given]


def test_an_unknown_host_key_is_accepted_and_stored_in_the_apps_file(
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


OWN, FOREIGN = "git@git.example:me/b.git", "git@other.example:b.git"


@pytest.mark.parametrize(
    ("url", "submodule", "gets_key"),
    [
        ("git@git.example:a.git", OWN, True),
        ("git@git.example:a.git", "ssh://git@git.example/b.git", True),
        ("ssh://git@git.example:22/a.git", OWN, True),
        ("git@[::1]:a.git", "ssh://git@[::1]/b.git", True),
        ("git@git.example:a.git", FOREIGN, False),
        ("git@git.example:a.git", "ssh://git@git.example:2222/b.git", False),
        ("git@git.example:a.git", "ssh://git@git.example.evil/b.git", False),
        ("git@git.example:a.git", "ssh://git@git.example:22@evil.example/b.git", False),
        ("https://git.example/a.git", OWN, False),
        ("https://git.example/a.git", "https://git.example/b.git", False),
        ("/srv/a.git", OWN, False),
    ],
)
@pytest.mark.parametrize("key", ["KEY", None])
def test_a_submodule_gets_no_key_but_the_apps_and_that_for_the_sources_server_only(
    app: App,
    ssh: Callable[[], dict[str, Any]],
    url: str,
    submodule: str,
    gets_key: bool,
    key: str | None,
) -> None:
    release = app.release(given={"KEY": KEY})
    with logins_for(release, from_git("", url, deploy_key=key)) as logins:
        environment = logins.to_submodule(submodule)
        command = f"{environment['GIT_SSH_COMMAND']} git@other.example true"
        subprocess.run(["sh", "-c", command], env=commands.environment(environment), check=True)
    call = ssh()
    files = [word for word in call["words"] if word.startswith("IdentityFile=")]
    assert ("IdentityFile" in call["files"]) == (gets_key and key is not None)
    assert len(files) == 1 and (files == ["IdentityFile=none"]) == (not gets_key or not key)
    assert {"IdentityAgent=none", "IdentitiesOnly=yes"} <= set(call["words"])
    assert call["words"][:2] == ["-F", "none"]
