"""What is under way on an app, on disk, so that the next runner finishes what was cut off."""

from __future__ import annotations

import json
from dataclasses import asdict

from gpuhost.runner.contract import AppPaths, Operation, from_json
from gpuhost.runner.lib.files import write_json


def unfinished(app: AppPaths) -> Operation | None:
    """What is under way or was cut off."""
    try:
        return from_json(Operation, json.loads(app.attempt.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def begin(app: AppPaths, operation: Operation) -> None:
    write_json(app.attempt, asdict(operation))


def end(app: AppPaths) -> None:
    app.attempt.unlink(missing_ok=True)
