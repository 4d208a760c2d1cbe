"""The results of the last releases and restores of an app."""

from __future__ import annotations

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.runner.contract import FAILED, RESTORE, RESTORE_FAILED
from gpuhost.snapshot.app_state import AppState, ReleaseState

GOOD = "verified, and no later operation is incomplete"


@deployed_check(
    "verified",
    "The current release was verified; no later release, and no restore of data, is incomplete.",
)
def verified(app: DeployedApp) -> Verdict:
    state = app.state
    assert state is not None
    current, cut_off = state.current_release, state.cut_off
    logs = f"gpuhost logs INVENTORY --app {app.name}"
    if cut_off:
        fix = f"the next release first finishes or undoes it: {app.release_command}"
        return fail(GOOD, f"{cut_off.kind} {cut_off.id} was interrupted", fix=fix)
    incomplete = _incomplete(state)
    if incomplete and incomplete.result:
        actual = f"{incomplete.id} failed, and the previous release was not restored"
        return fail(GOOD, actual, evidence=incomplete.result.restore_said, fix=f"{logs} says why")
    if current is None or not current.verified:
        return fail(GOOD, f"{state.current} has no successful result", fix=app.release_command)
    if state.restoring is not None:
        actual = f"the restore of {state.restoring or 'a backup'} has not ended"
        again = f"restore {state.restoring} again" if state.restoring else "restore a backup"
        return fail(GOOD, actual, fix=f"{logs} says why; {again}: nothing is deleted")
    last = app.details.last
    if (last.get("kind"), last.get("state")) == (RESTORE, RESTORE_FAILED):
        actual = f"the restore of {last.get('id')} failed, and the previous data was not restored"
        return fail(GOOD, actual, fix=f"{logs} says why; restore again: it is finished or undone")
    return ok(f"{current.id} was verified", expected=GOOD)


def _incomplete(state: AppState) -> ReleaseState | None:
    """The last release that changed anything, if it failed and was not undone."""
    # FAILED: it failed before anything was changed.
    changing = (
        release for release in state.releases if release.result and release.result.state != FAILED
    )
    newest = next(changing, None)
    failed = newest and newest.result and newest.result.state == RESTORE_FAILED
    return newest if failed else None
