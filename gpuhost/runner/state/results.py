"""Stores results: result.json, and a line in the app's history."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from gpuhost.runner.contract import AppPaths, Result, from_json
from gpuhost.runner.lib.files import append, make_way, read_state_json, write_json
from gpuhost.runner.state.release import Release


def write(release: Release, result: Result) -> None:
    write_json(release.paths.result, asdict(result))
    audit(release.app, result)


def audit(app: AppPaths, result: Result) -> None:
    """Append a line to the app's history."""
    make_way(app.history)
    line = {k: v for k, v in asdict(result).items() if k not in ("output", "logs")}
    append(app.history, json.dumps(line, ensure_ascii=False))


def write_draft(release: Release, result: Result) -> None:
    """Store why the release is undone, for a runner that continues the undo."""
    write_json(_draft(release), asdict(result))


def read_draft(release: Release) -> Result | None:
    return read(_draft(release))


def _draft(release: Release) -> Path:
    return release.paths.result.with_name("result.draft.json")


def read(path: Path) -> Result | None:
    """None if the file is missing or damaged. Raises OSError: a read error may be temporary."""
    try:
        return from_json(Result, read_state_json(path))
    except (ValueError, TypeError):
        return None
