"""Stores the operation in progress, so that the next runner can finish an interrupted one."""

from __future__ import annotations

import json
from dataclasses import asdict

from gpuhost.runner.contract import AppPaths, Operation, from_json
from gpuhost.runner.lib.files import write_json


def unfinished(app: AppPaths) -> Operation | None:
    """The operation in progress, or an interrupted one."""
    try:
        return from_json(Operation, json.loads(app.attempt.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def begin(app: AppPaths, operation: Operation) -> None:
    write_json(app.attempt, asdict(operation))


def end(app: AppPaths) -> None:
    app.abort.unlink(missing_ok=True)
    app.attempt.unlink(missing_ok=True)
