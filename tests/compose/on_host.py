"""The runner's stage `render` for a project, in a directory, with a real Compose and no engine."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan
from gpuhost.runner.stages.render import render
from gpuhost.runner.state.release import Release
from tests.runner.fake_tools import hide_nothing_without_root, put_first_in_path, tool

# What `docker` answers beside `docker compose`.
DOCKER = """\
#!/bin/sh
case "$1 $2" in
  "compose "*) shift; exec {binary} "$@" ;;
  "version "*) echo 26.1.5 ;;
  "volume ls") printf '%s\\n' {volumes} ;;
  "network ls") printf '%s\\n' {networks} ;;
  *) echo "unexpected: docker $*" >&2; exit 64 ;;
esac
"""
SITE = """\
server {
    listen 80;
    server_name web.example.com;
}
"""


@dataclass(frozen=True)
class Rendered:
    """Either the model, or a refusal.

    + resolved: with the names of images in the user's files
    """

    release: Release
    resolved: Mapping[str, Any]
    refused: str = ""


def put_docker(
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    binary: Path,
    *,
    volumes: tuple[str, ...] = (),
    networks: tuple[str, ...] = (),
) -> None:
    """Put a `docker` first in the runner's PATH.

    + volumes, networks: those that the host has
    """
    text = DOCKER.format(
        binary=shlex.quote(str(binary)),
        volumes=shlex.join(volumes),
        networks=shlex.join(networks),
    )
    tool(directory, "docker", text)
    hide_nothing_without_root(directory)
    put_first_in_path(monkeypatch, directory)


def render_on_host(
    home: Path, plan: Plan, app_file: bytes, source: Path | None, secrets: Mapping[str, str]
) -> Rendered:
    """+ home: of the app
    + source: what the release's source has; it is copied
    """
    app = AppPaths(home)
    paths = app.release(plan.id)
    paths.home.mkdir(parents=True)
    paths.plan.write_text(plan.text(), encoding="utf-8")
    paths.compose.write_bytes(app_file)
    paths.given.write_text(json.dumps(dict(secrets)), encoding="utf-8")
    if plan.nginx:
        paths.nginx.write_text(SITE, encoding="utf-8")
    if source:
        shutil.copytree(source, paths.source, symlinks=True)
    release = Release.open(app, plan.id)
    try:
        render(release)
    except Failure as failure:
        return Rendered(release, {}, f"{failure} {failure.fix}")
    return Rendered(release, _read(paths.resolved))


def _read(path: Path) -> Mapping[str, Any]:
    model: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return model
