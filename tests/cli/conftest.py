"""An SSH server for `gpuhost check`, and a directory to run it in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sshd import ADDRESSES, Sshd, sshd_path

MANY = Path(__file__).with_name("many.py")
GPUHOST = Path(sys.executable).with_name("gpuhost")


@dataclass(frozen=True)
class Run:
    """A finished command."""

    exit: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def host(self, name: str) -> dict[str, Any]:
        return next(host for host in self.document["hosts"] if host["host"] == name)


@dataclass(frozen=True)
class Workplace:
    """An empty directory with an inventory in it, and a home without an ssh_config."""

    path: Path

    def inventory(self, hosts: dict[str, dict[str, Any]], *, name: str = "inventory.py") -> Path:
        file = self.path / name
        file.write_text(f"hosts = {list(hosts.items())!r}\n")
        return file

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "COLUMNS")}
        return {**kept, "HOME": str(self.path), "PYINFRA_PROGRESS": "off"}

    def gpuhost(self, *arguments: str, timeout: float = 60) -> Run:
        return self.run(str(GPUHOST), *arguments, timeout=timeout)

    def check(self, hosts: dict[str, dict[str, Any]], *options: str) -> Run:
        """`gpuhost check --json` on these hosts."""
        return self.gpuhost("check", str(self.inventory(hosts)), "--json", *options)

    def many(self, *commands: list[str]) -> list[Run]:
        """Several commands, in one process: tests/cli/many.py."""
        done = self.run(sys.executable, str(MANY), given=json.dumps(commands))
        runs = [Run(*each) for each in json.loads(done.out)]
        assert not any("Traceback" in run.err + run.out for run in runs)
        return runs

    def run(self, *command: str, timeout: float = 60, given: str = "") -> Run:
        # Without a terminal, a question fails at once and is visible.
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(),
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if sshd_path() is None:
        message = "needs an SSH server on this machine: apt-get install openssh-server"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """A port that accepts connections and sends nothing."""
    with socket.socket() as listener:
        listener.bind((ADDRESSES[0], 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind((ADDRESSES[0], 0))
        return int(listener.getsockname()[1])
