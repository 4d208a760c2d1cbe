"""Ends an operation that cannot be continued because a file that it needs is damaged.

Without this it would block the next operation for ever.
"""

from __future__ import annotations

from dataclasses import asdict

from gpuhost.runner.contract import RESTORE, RESTORE_FAILED, AppPaths, Operation, Result
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state import results

# What reading a damaged file raises. OSError is missing: a read error may be temporary.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def abandon(app: AppPaths, operation: Operation, reason: object) -> Result:
    """Store a result that says so, unless the operation has one already."""
    paths = app.operation(operation.id)
    stored = results.read(paths.result)
    if stored and operation.kind != RESTORE:
        return stored
    log = Log(paths.log)
    log.loud(f"THIS {operation.kind.upper()} COULD NOT BE FINISHED OR UNDONE: {reason}")
    result = Result.of(
        operation,
        app.home.name,
        RESTORE_FAILED,
        said=log.said(f"the {operation.kind} cannot be continued: {reason}"),
        restore_said="it cannot be undone either: its state is unknown",
    )
    # Not with its own plan, which may be damaged. A directory that is gone has no place for it.
    if paths.home.is_dir():
        write_json(paths.result, asdict(result))
    results.audit(app, result)
    return result
