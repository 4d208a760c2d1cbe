"""Remembers which expected log lines the containers of an app have printed.

A container that a release does not recreate keeps its log. After a log rotation, the line that it
printed at its start may be missing.
"""

from __future__ import annotations

from pathlib import Path

from gpuhost.runner.lib.files import read_json, write_json
from gpuhost.runner.plan import VerifyStep
from gpuhost.runner.state.release import Release


def is_known(release: Release, step: VerifyStep, started: tuple[str, ...]) -> bool:
    """Whether the same containers have printed the line before.

    + started: the start time of each container
    """
    return read_json(_path(release)).get(_key(step)) == list(started)


def remember(release: Release, step: VerifyStep, started: tuple[str, ...]) -> None:
    matches = {**read_json(_path(release)), _key(step): list(started)}
    write_json(_path(release), matches, mode=0o600)


def _path(release: Release) -> Path:
    return release.app.home / "seen.json"


def _key(step: VerifyStep) -> str:
    return f"{step.service}: {step.log}"
