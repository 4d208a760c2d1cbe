"""Finds what another verb left unfinished, and what state/transitions.py says about it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpuhost.runner.contract import REMOVE, RESTORE, AppPaths, Operation
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages.restore_leftovers import end_restore, set_restore_aside
from gpuhost.runner.stages.restore_state import WHOLE, State, read_state
from gpuhost.runner.state import transitions
from gpuhost.runner.state.transitions import Do, Rule, next_step, rule_of

INTERRUPTED = {
    RESTORE: transitions.RESTORE_INTERRUPTED,
    REMOVE: transitions.REMOVAL_INTERRUPTED,
}


@dataclass(frozen=True)
class Left:
    """Work that is unfinished.

    + id: of a release, or of the backup of a restore
    + restore: what is known of a restore that no operation continues
    """

    state: str
    id: str = ""
    restore: State | None = None

    def require(self, app: AppPaths, verb: str, own_id: str = "") -> Rule:
        """What the verb does with it. Raises Failure, with the next step, if it is refused.

        + own_id: of the verb's own backup
        """
        is_other = verb == RESTORE and self.id != own_id
        rule = rule_of(self.state, transitions.RESTORE_OTHER if is_other else verb)
        if rule.do is Do.REFUSE:
            what = f"{self.state} ({self.id})" if self.id else self.state
            raise Failure(f"refused: {what}", fix=next_step(app, rule, self.id))
        return rule


def interrupted(operation: Operation) -> Left:
    return Left(INTERRUPTED.get(operation.kind, transitions.RELEASE_INTERRUPTED), operation.id)


def has_damaged_restore(app: AppPaths, operation: Operation) -> bool:
    """Whether nobody can continue it: a restore whose state cannot be read."""
    left = left_by_restore(app) if operation.kind == RESTORE else None
    return left is not None and left.state == transitions.RESTORE_DAMAGED


def left_by_restore(app: AppPaths) -> Left | None:
    """What a restore left that no operation continues."""
    state = read_state(app)
    if state is None:
        return Left(transitions.RESTORE_DAMAGED) if os.path.lexists(app.restoring) else None
    is_whole = state.step in WHOLE
    left = transitions.RESTORE_ENDED if is_whole else transitions.RESTORE_BROKEN
    return Left(left, state.backup, state)


def end_left_restore(app: AppPaths, verb: str, own_id: str = "") -> None:
    """Before a verb: do with what a restore left what the table says.

    + own_id: of the verb's own backup

    Raises Failure, with the next step, if the verb is refused.
    """
    left = left_by_restore(app)
    if left is None:
        return
    do = left.require(app, verb, own_id).do
    if do is Do.SET_ASIDE:
        set_restore_aside(app)
    elif do is Do.FINISH and left.restore:
        end_restore(app, left.restore)
