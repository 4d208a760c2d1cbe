"""A release that cannot be continued: a file of it, or of the previous release, is damaged.

It must not block the next one for ever.
"""

from __future__ import annotations

import time

from gpuhost.runner.contract import RESTORE_FAILED, AppPaths, Operation, Result
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Plan
from gpuhost.runner.stages.engine import loud
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Release

# What reading a damaged file raises; one that the disk does not give is tried again.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError)


def abandon(app: AppPaths, operation: Operation, why: Exception) -> Result:
    """Its result, which is on disk when this returns; one that it has already stays."""
    paths, name = app.release(operation.id), app.home.name
    known = results.read(paths.result)
    if known:
        return known
    log = Log(paths.log)
    loud(log, f"THIS {operation.kind.upper()} COULD NOT BE FINISHED OR UNDONE: {why}")
    ended = Result(
        id=operation.id,
        app=name,
        kind=operation.kind,
        state=RESTORE_FAILED,
        by=operation.by,
        revision="",
        inputs="",
        started=operation.started,
        ended=time.time(),
        said=log.masked(f"it could not be continued: {why}"),
        restore_said="it could not be undone either: it is not known what of it runs",
    )
    # Its own plan may be what is damaged.
    plan = Plan(app=name, id=operation.id, inputs="", by=operation.by, project=name, revision="")
    results.write(Release(app, paths, plan, log), ended)
    return ended
