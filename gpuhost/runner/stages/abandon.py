"""Ends an operation that cannot be continued because a file that it needs is damaged.

Without this it would block the next operation for ever.
"""

from __future__ import annotations

from gpuhost.runner.contract import RESTORE_FAILED, AppPaths, Operation, Result
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Plan
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Release

# What reading a damaged file raises. OSError is missing: a read error may be temporary.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError)


def abandon(app: AppPaths, operation: Operation, reason: Exception) -> Result:
    """Store a result that says so, unless the operation has one already."""
    paths, name = app.release(operation.id), app.home.name
    stored = results.read(paths.result)
    if stored:
        return stored
    log = Log(paths.log)
    log.loud(f"THIS {operation.kind.upper()} COULD NOT BE FINISHED OR UNDONE: {reason}")
    result = Result.of(
        operation,
        name,
        RESTORE_FAILED,
        said=log.masked(f"the {operation.kind} cannot be continued: {reason}"),
        restore_said="it cannot be undone either: its state is unknown",
    )
    # Not its own plan, which may be damaged.
    plan = Plan(app=name, id=operation.id, inputs="", by=operation.by, project=name, revision="")
    results.write(Release(app, paths, plan, log), result)
    return result
