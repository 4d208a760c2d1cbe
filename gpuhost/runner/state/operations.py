"""Stores the operation in progress, so that the next runner can finish an interrupted one."""

from __future__ import annotations

from dataclasses import asdict

from gpuhost.runner.contract import RELEASE, REMOVE, RESTORE, ROLLBACK, AppPaths, Operation
from gpuhost.runner.lib.files import read_json, remove, write_json

KINDS = (RELEASE, ROLLBACK, RESTORE, REMOVE)


def begun(app: AppPaths) -> Operation | None:
    """The operation that has begun and not ended: in progress, or interrupted."""
    operation = Operation.lenient(read_json(app.attempt))
    if operation.kind in KINDS and (operation.id or operation.kind == REMOVE):
        return operation
    return None


def begin(app: AppPaths, operation: Operation) -> None:
    write_json(app.attempt, asdict(operation))


def end(app: AppPaths) -> None:
    remove(app.abort)
    remove(app.attempt)
