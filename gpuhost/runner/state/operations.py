"""Stores the operation in progress, so that the next runner can finish an interrupted one."""

from __future__ import annotations

import re
from dataclasses import asdict

from gpuhost.runner.contract import RELEASE, REMOVE, RESTORE, ROLLBACK, AppPaths, Operation
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_state_json, remove, write_json

# The name of a directory of a release or of a backup.
ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,99}")
KINDS = (RELEASE, ROLLBACK, RESTORE, REMOVE)


def begun(app: AppPaths) -> Operation | None:
    """The operation that has begun and not ended: in progress, or interrupted. Raises OSError."""
    operation = Operation.lenient(read_state_json(app.attempt))
    return operation if operation.kind in KINDS and _has_valid_id(operation) else None


def begin(app: AppPaths, operation: Operation) -> None:
    """Raises Failure for an id that could name a path elsewhere, or OSError."""
    if not _has_valid_id(operation):
        raise Failure(f"{operation.id!r} is not the id of a release or of a backup")
    write_json(app.attempt, asdict(operation))


def _has_valid_id(operation: Operation) -> bool:
    needs_none = operation.kind == REMOVE and not operation.id
    return needs_none or ID.fullmatch(operation.id) is not None


def end(app: AppPaths) -> None:
    # attempt.json first: between the two another runner would carry out what was aborted.
    remove(app.attempt)
    remove(app.abort)
