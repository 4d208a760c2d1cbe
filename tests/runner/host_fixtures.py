"""An app's directory on a host, and fake programs that record how they were called."""

from __future__ import annotations

import errno
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths, state_files
from gpuhost.runner.docker.compose import write_model
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.files import point, write, write_json
from gpuhost.runner.plan import Plan
from gpuhost.runner.resolved.services import services as started
from gpuhost.runner.state.release import Release
from tests.runner.fake_tools import hide_nothing_without_root

OLD, NEW = "20260101-000000-aaaaaaaa", "20260102-000000-bbbbbbbb"
ME = f"{os.getuid()}:{os.getgid()}"


def as_resolved(
    release: Release, services: dict[str, Any], inactive: Sequence[str] = (), **top: dict[str, Any]
) -> None:
    """Writes resolved.json of a release, as the stage `render` does.

    + top: other keys of the model, such as secrets
    """
    model, _ = started({"services": services, **top}, release.plan, inactive)
    write_model(release.paths.resolved, model)


@dataclass
class App:
    """An app and its releases."""

    paths: AppPaths

    def release(
        self,
        release_id: str = NEW,
        *,
        given: dict[str, str] | None = None,
        is_current: bool = False,
        **plan: Any,
    ) -> Release:
        """A release that was delivered to the host.

        + plan: fields that differ from the minimal plan
        """
        home = self.paths.release(release_id).home
        home.mkdir(parents=True)
        minimal = {"app": "app", "inputs": release_id, "by": "ada@desk", "project": "app"}
        write(home / "plan.json", Plan(id=release_id, revision="r", **{**minimal, **plan}).text())
        write(home / "compose.yaml", "services: {}\n")
        if given is not None:
            write_json(home / "given.json", given, mode=0o600)
        if is_current:
            point(self.paths.current, f"releases/{release_id}")
        release = Release.open(self.paths, release_id)
        if (services := self.paths.home.with_name("services.json")).exists():
            as_resolved(release, *json.loads(services.read_text()))
        return release

    def data(self, path: str, text: str = "") -> Path:
        """A file under shared/."""
        file = self.paths.shared / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@dataclass
class Programs:
    """Fake programs: the output and the exit status of each, by its arguments."""

    directory: Path
    _rules: dict[str, list[str]] = field(default_factory=dict)

    def answer(
        self, pattern: str, out: str = "", *, status: int = 0, err: str = "", then: str = ""
    ) -> None:
        """The output for a command line that matches; the last rule that was added wins.

        + pattern: of sh, for the program's name and its arguments: "docker compose * config *"
        + then: further commands of sh
        """
        program = pattern.split()[0]
        quoted = "*".join(shlex.quote(part) if part else "" for part in pattern.split("*"))
        body = f"printf %s {shlex.quote(out)}; printf %s {shlex.quote(err)} >&2"
        rule = f"{quoted}) {body}; {then or ':'}; exit {status};;"
        self._rules.setdefault(program, []).insert(0, rule)
        lines = [
            "#!/bin/sh",
            f'echo "{program} $*" >>{shlex.quote(str(self._calls))}',
            f'case "{program} $*" in',
            *self._rules[program],
            "*) exit 0;;",
            "esac",
        ]
        path = self.directory / program
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)

    def compose(self, services: dict[str, Any], inactive: Sequence[str] = ()) -> None:
        """The services that `docker compose config` prints; releases have the same resolved.

        + inactive: services of the files in profiles that are not active
        """
        self.answer("docker compose * config *", json.dumps({"services": services}))
        self.answer("docker compose * config --services", "\n".join([*services, *inactive]))
        self.directory.with_name("services.json").write_text(json.dumps([services, inactive]))
        for home in self.directory.with_name("app").glob("releases/*"):
            as_resolved(Release.open(AppPaths(home.parent.parent), home.name), services, inactive)

    @property
    def calls(self) -> list[str]:
        """Every command line so far, without the options that all Compose commands share."""
        if not self._calls.exists():
            return []
        return [_short(line) for line in self._calls.read_text().splitlines()]

    def called(self, word: str) -> list[str]:
        return [line for line in self.calls if word in line]

    @property
    def _calls(self) -> Path:
        return self.directory / "calls"


def _short(line: str) -> str:
    words = line.split(" ")
    for option in ("-f", "--env-file"):
        while option in words and words[:2] == ["docker", "compose"]:
            at = words.index(option)
            del words[at : at + 2]
    if "--project-directory" in words:
        at = words.index("-p")
        del words[at : at + 4]
    return " ".join(words)


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """The disk cannot read this file."""
    read = state_files.read_state

    def read_with_error(one: Path) -> bytes:
        if one == path:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(one)

    monkeypatch.setattr(state_files, "read_state", read_with_error)


@pytest.fixture
def app(tmp_path: Path) -> App:
    (tmp_path / "app").mkdir()
    return App(AppPaths(tmp_path / "app"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setattr(commands, "PATH", f"{directory}:{commands.PATH}")
    hide_nothing_without_root(directory)
    made = Programs(directory)
    made.answer("docker image inspect *", status=1)
    return made
