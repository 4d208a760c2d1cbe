"""Ends an operation that cannot be continued because a file that it needs is damaged.

Without this it would block the next operation for ever.
"""

from __future__ import annotations

from gpuhost.runner.contract import RESTORE_FAILED, AppPaths, Operation, Result
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state import results

# What reading a damaged file raises. OSError is missing: a read error may be temporary.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def abandon(app: AppPaths, operation: Operation, reason: object) -> Result:
    """Store a result that says so, unless the operation has one already."""
    if ended := results.ended(app, operation):
        return ended
    log = Log(app.operation(operation.id).log)
    log.loud(f"THIS {operation.kind.upper()} COULD NOT BE FINISHED OR UNDONE: {reason}")
    result = Result.of(
        operation,
        app.home.name,
        RESTORE_FAILED,
        said=log.said(f"the {operation.kind} cannot be continued: {reason}"),
        restore_said="it cannot be undone either: its state is unknown",
    )
    results.store(app, result)
    return result
