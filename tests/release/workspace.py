"""A directory from which deploys are run as a user runs them, with fake hosts."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sshd import ADDRESSES, Sshd, packed
from tests.recorded import raw

ROOT = Path(__file__).resolve().parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
PLAY = Path(__file__).with_name("fake_host.py")
SECRET = "s3cret-$'\"`-ß-value"
APP = """\
x-gpuhost:
  secrets:
    PLANTED: {min_length: 8}
  source: {directory: source}
services:
  web:
    image: web:1
    build: .
"""
UNITS = {"host": "debian13-docker"}
STAGES = [
    "10:00:00 == source", "10:00:02 fetched", "10:00:02 == build", "10:01:40 Successfully built",
    "10:01:40 == up", "10:01:45 done",
]  # fmt: skip
RESULT = {
    "app": "tts", "kind": "release", "state": "verified", "by": "me@here", "revision": "a" * 40,
    "inputs": "b" * 64, "started": 100.0, "ended": 205.0, "gap_s": 3.4,
}  # fmt: skip
ENDED = {"state": "ended", "lines": STAGES, "result": RESULT}
FAILED = {
    "state": "ended",
    "lines": ["10:00:00 == build", "10:00:41 FAILED in build: docker compose build failed"],
    "result": {
        **RESULT,
        "state": "restored",
        "stage": "build",
        "said": "docker compose build web failed (exit 1)",
        "output": ["E: Unable to locate package", "\x1b[31mred\x1b[0m"],
        "logs": ["listening on 3000"],
        "restored": "20260101-000000-aaaaaaaa",
        "migrated": True,
        "backup": "1",
        "fix": "apt-get update first",
    },
}


@dataclass
class FakeHost:
    """A host of the inventory."""

    address: str
    directory: Path
    login: dict[str, Any]

    def set_follow_answers(self, *answers: dict[str, Any]) -> None:
        (self.directory / "script.json").write_text(json.dumps(answers))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def apps(self, *apps: dict[str, Any], active: bool = False) -> None:
        """Sets the apps in the host's reading. active: an operation runs."""
        state = "active" if active else "inactive"
        units = "".join(
            f"Id=gpuhost-release-{app['name']}.service\nActiveState={state}\n\n" for app in apps
        )
        probes = raw(
            {
                **UNITS,
                "probes": {
                    "apps": {"out": json.dumps({"apps": apps, "runners": ["runner-x.pyz"]})},
                    "app_units": {"out": units},
                },
            }
        )
        self.write("reply", packed(probes))

    @property
    def home(self) -> Path:
        return self.directory / "opt/gpuhost/tts"

    @property
    def releases(self) -> list[Path]:
        return sorted((self.home / "releases").glob("*"))

    @property
    def started(self) -> list[str]:
        file = self.directory / "started"
        return file.read_text().splitlines() if file.exists() else []


@dataclass
class Workspace:
    """A directory with an inventory and an app, from which pyinfra is run."""

    path: Path
    hosts: list[FakeHost]
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: {"PLANTED": SECRET})

    def popen(self, *words: str) -> subprocess.Popen[str]:
        hosts = [
            (host.address, {**host.login, "adopt": True, **self.settings}) for host in self.hosts
        ]
        (self.path / "inventory.py").write_text(f"hosts = {hosts!r}\n")
        kept = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "PLANTED")}
        return subprocess.Popen(
            [str(PYINFRA), "inventory.py", *words],
            cwd=self.path,
            env={**kept, **self.environment, "HOME": str(self.path), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.popen(*words)
        try:
            out, _ = process.communicate(timeout=40)
        finally:
            process.kill()
        assert "Traceback" not in out, out
        return process.returncode, out

    def release(self, *words: str, app: str = "tts") -> tuple[int, str]:
        deploy = str(ROOT / "deploys" / "app.py")
        return self.run(deploy, "--data", f"app={app}", *(words or ("-y",)))


@pytest.fixture
def workspace(tmp_path: Path, sshd: Sshd) -> Workspace:
    path = tmp_path / "work"
    (path / "apps" / "source").mkdir(parents=True)
    (path / "apps" / "source" / "Dockerfile").write_text("FROM scratch\n")
    (path / "apps" / "tts.yaml").write_text(APP)
    return Workspace(path, [fake_host(tmp_path, sshd, ADDRESSES[0])])


def fake_host(tmp_path: Path, sshd: Sshd, address: str) -> FakeHost:
    directory = tmp_path / f"host-{address}"
    directory.mkdir()
    words = [sys.executable, "-I", str(PLAY), str(directory)]
    host = FakeHost(address, directory, sshd.login(" ".join(map(shlex.quote, words))))
    host.apps()
    host.set_follow_answers(ENDED)
    return host


@pytest.fixture
def host(workspace: Workspace) -> Iterator[FakeHost]:
    yield workspace.hosts[0]


def history(*names: str, **results: dict[str, Any]) -> dict[str, Any]:
    """An app with these verified releases, newest first."""
    releases = [
        {
            "id": f"2026010{name[0]}-000000-{name}", "inputs": name * 8, "revision": name * 5,
            "by": "me@here", "project": "tts", "rollback_of": "",
            "result": {"state": "verified", **results.get(name, {})},
        }
        for name in names
    ]  # fmt: skip
    return {
        "name": "tts", "current": releases[0]["id"], "given": None, "attempt": None,
        "releases": releases, "backups": [],
    }  # fmt: skip


def released(workspace: Workspace, host: FakeHost, **more: Any) -> dict[str, Any]:
    """Releases the app; returns the host's record of that release, as verified."""
    workspace.release()
    (release,) = host.releases
    plan = json.loads((release / "plan.json").read_text())
    digest = hashlib.sha256((release / "given.json").read_bytes()).hexdigest()
    (host.directory / "started").unlink()
    kept = {key: plan[key] for key in ("id", "by", "inputs", "project", "revision")}
    return {
        "name": "tts",
        "current": release.name,
        "given": {"sha256": digest, "mode": "0600", "owner": "root"},
        "attempt": None,
        "releases": [{**kept, "rollback_of": "", "result": {"state": "verified"}}],
        "backups": [],
        **more,
    }


def has_all(line: str, *words: str) -> bool:
    return all(word in line for word in words)


def positions(out: str, *parts: str) -> list[int]:
    """The position of each part; a missing part fails, and shows the output."""
    assert [part for part in parts if part not in out] == [], out
    return [out.index(part) for part in parts]
