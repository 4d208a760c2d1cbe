"""An attempt that nobody can go on with: a file of it, or of the release before, is damaged.

It must not be in the way of the next one for ever.
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


def give_up(app: AppPaths, found: Operation, why: Exception) -> Result:
    """Its result, which is on disk when this returns; one that it has already stays."""
    paths, name = app.release(found.id), app.home.name
    known = results.read(paths.result)
    if known:
        return known
    log = Log(paths.log)
    loud(log, f"THIS {found.kind.upper()} COULD NOT BE FINISHED OR UNDONE: {why}")
    ended = Result(
        id=found.id,
        app=name,
        kind=found.kind,
        state=RESTORE_FAILED,
        by=found.by,
        revision="",
        inputs="",
        started=found.started,
        ended=time.time(),
        said=log.masked(f"it could not be gone on with: {why}"),
        restore_said="it could not be undone either: nobody knows what of it runs",
    )
    # Its own plan may be what is damaged.
    plan = Plan(app=name, id=found.id, inputs="", by=found.by, project=name, revision="")
    results.write(Release(app, paths, plan, log), ended)
    return ended
