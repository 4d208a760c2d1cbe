"""How the last things that were done with an app ended."""

from __future__ import annotations

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.snapshot.apps import AppState, Release

# It failed before anything was changed.
FAILED = "failed"
RESTORE_FAILED = "restore-failed"
GOOD = "verified, and nothing after it was left half-way"


@deployed_check(
    "verified",
    "The release that runs was verified; no later one, and no restore of data, has left it "
    "half-way.",
)
def verified(app: DeployedApp) -> Verdict:
    state = app.state
    assert state is not None
    current, cut_off = state.current_release, state.cut_off
    logs = f"gpuhost logs INVENTORY --app {app.name}"
    if cut_off:
        fix = f"the next release finishes or undoes it first: {app.again}"
        return fail(GOOD, f"{cut_off.kind} {cut_off.id} was cut off", fix=fix)
    left = _left_half_way(state)
    if left and left.result:
        said = f"{left.id} failed, and the one before did not come back"
        return fail(GOOD, said, evidence=left.result.restore_said, fix=f"{logs} tells why")
    if current is None or not current.verified:
        return fail(GOOD, f"{state.current} has no good result", fix=app.again)
    last = app.details.last
    if (last.get("kind"), last.get("state")) == ("restore", RESTORE_FAILED):
        said = f"the restore of {last.get('id')} failed, and what was before did not come back"
        return fail(GOOD, said, fix=f"{logs} tells why; restore again: it is finished or undone")
    return ok(f"{current.id} was verified", expected=GOOD)


def _left_half_way(state: AppState) -> Release | None:
    """The last attempt that changed anything, if it could not be undone."""
    changing = (one for one in state.releases if one.result and one.result.state != FAILED)
    newest = next(changing, None)
    failed = newest and newest.result and newest.result.state == RESTORE_FAILED
    return newest if failed else None
