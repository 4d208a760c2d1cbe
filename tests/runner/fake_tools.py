"""Fake programs of a host, and a fake docker with images."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.lib import commands


def tool(directory: Path, name: str, text: str) -> Path:
    """A fake of a host's program."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_first_in_path(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(commands, "PATH", f"{directory}:{commands.PATH}")


def hide_nothing_without_root(directory: Path) -> None:
    """Only root can hide directories from Compose: tests of others run it as it is."""
    if os.geteuid() != 0:
        skip = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
        tool(directory, "unshare", f"#!/bin/sh\n{skip}\n")


class Docker:
    """A fake docker: its images are in a file, its services and registry are attributes."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = directory / "state.json"
        self.calls_made = directory / "calls"
        self.images: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.hidden: dict[str, dict[str, Any]] = {}  # services of profiles that are not active
        self.registry: dict[str, dict[str, Any]] = {}
        self.fails: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}
        directory.mkdir()
        program = Path(__file__).with_name("fake_docker.py").read_text(encoding="utf-8")
        shebang = f"#!{sys.executable} -IS\nSTATE = {str(directory)!r}\n"
        tool(directory / "bin", "docker", shebang + program)
        tool(directory / "bin", "dmesg", f"#!/bin/sh\nexec cat {directory}/dmesg\n")
        hide_nothing_without_root(directory / "bin")
        (directory / "dmesg").write_text("[   10.000000] booted\n")
        self.kernel_log = directory / "dmesg"
        put_first_in_path(monkeypatch, directory / "bin")
        self.write()

    def write(self) -> None:
        keys = ("images", "services", "hidden", "registry", "fails", "tags")
        self.state.write_text(json.dumps({key: getattr(self, key) for key in keys}))

    def read(self) -> None:
        for key, value in json.loads(self.state.read_text()).items():
            setattr(self, key, value)

    @property
    def calls(self) -> list[dict[str, Any]]:
        if not self.calls_made.exists():
            return []
        return [json.loads(line) for line in self.calls_made.read_text().splitlines()]

    def called(self, verb: str) -> list[list[str]]:
        """The arguments from this word on, for every call that has it."""
        words = [call["words"] for call in self.calls]
        return [each[each.index(verb) :] for each in words if verb in each]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    return Docker(tmp_path / "docker", monkeypatch)
