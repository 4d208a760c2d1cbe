"""What became of a release: result.json, and a line of the app's history."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract.decode import from_json
from gpuhost.runner.lib.files import append, write_json
from gpuhost.runner.state.release import Release

VERIFIED = "verified"
# It failed before anything was changed: the release before runs on.
FAILED = "failed"
# It failed after, and the release before is back and verified again.
RESTORED = "restored"
# It failed, and there was none before: nothing that it started is left running.
UNDONE = "undone"
RESTORE_FAILED = "restore-failed"


@dataclass(frozen=True)
class Result:
    """How it ended."""

    id: str
    app: str
    kind: str
    state: str
    by: str
    revision: str
    inputs: str
    started: float
    ended: float
    stage: str = ""
    said: str = ""
    fix: str = ""
    output: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    restored: str | None = None
    # Why the release before did not come back either.
    restore_said: str = ""
    # Of a deployment made by hand: what is gone as the first release took its place, in words; and
    # the containers that run on.
    replaced: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    # A migration had begun that may have changed data.
    migrated: bool = False
    backup: str = ""
    gap_s: float | None = None


def write(release: Release, result: Result) -> None:
    write_json(release.paths.result, asdict(result))
    audited = {k: v for k, v in asdict(result).items() if k not in ("output", "logs")}
    append(release.app.history, json.dumps(audited, ensure_ascii=False))


def write_draft(release: Release, result: Result) -> None:
    """Why it is being undone, for whoever has to go on with that."""
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
