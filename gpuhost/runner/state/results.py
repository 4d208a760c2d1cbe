"""How a release ended: result.json, and a line of the app's history."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from gpuhost.runner.contract import AppPaths, Result, from_json
from gpuhost.runner.lib.files import append, write_json
from gpuhost.runner.state.release import Release


def write(release: Release, result: Result) -> None:
    write_json(release.paths.result, asdict(result))
    audit(release.app, result)


def audit(app: AppPaths, result: Result) -> None:
    """A line of the app's history."""
    audited = {k: v for k, v in asdict(result).items() if k not in ("output", "logs")}
    append(app.history, json.dumps(audited, ensure_ascii=False))


def write_draft(release: Release, result: Result) -> None:
    """Why it is being undone, for the runner that continues it."""
    write_json(_draft(release), asdict(result))


def read_draft(release: Release) -> Result | None:
    return read(_draft(release))


def _draft(release: Release) -> Path:
    return release.paths.result.with_name("result.draft.json")


def read(path: Path) -> Result | None:
    """None where there is none, or none that can be read."""
    try:
        return from_json(Result, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
