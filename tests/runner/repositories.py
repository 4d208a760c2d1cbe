"""Shared by tests of sources: a repository, and a host without a git configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.lib import commands, proxy
from gpuhost.runner.plan import Source

TOKEN = "tok-3n-$ecret' \"x"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc\r\n-----END OPENSSH PRIVATE KEY-----"
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": os.environ["PATH"],
}


class Repository:
    """A bare repository with two commits, and a clone that pushes to it."""

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
            command, cwd=where, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
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
def isolated_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The git configuration and the proxy of this machine have no effect."""
    real = commands.environment
    monkeypatch.setattr(commands, "environment", lambda extra: {**real(extra), "HOME": "/nowhere"})
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def from_git(revision: str, url: str, **more: Any) -> Source:
    return Source("git", revision, git=url, **more)


def files_with_credentials(home: Path) -> list[Path]:
    """Files that hold the token or the key."""
    files = [path for path in home.rglob("*") if path.is_file()]
    texts = (TOKEN, TOKEN.replace('"', '\\"'), "BEGIN OPENSSH")
    return [path for path in files if any(t.encode() in path.read_bytes() for t in texts)]
