"""Finds what another verb left unfinished, and does with it what state/transitions.py says."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpuhost.runner.contract import REMOVE, RESTORE, AppPaths, Operation
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages.restore_leftovers import keep_unread, settle
from gpuhost.runner.stages.restore_state import WHOLE, read_state
from gpuhost.runner.state import transitions
from gpuhost.runner.state.transitions import TABLE, Rule

CUT = {RESTORE: transitions.RESTORE_CUT, REMOVE: transitions.REMOVAL_CUT}


@dataclass(frozen=True)
class Left:
    """Work that is unfinished. + id: of a release, or of the backup of a restore"""

    state: str
    id: str = ""

    def require(self, app: AppPaths, verb: str, own_id: str = "") -> Rule:
        """What the verb does with it. Raises Failure, with the next step, if it is refused.

        + own_id: of the verb's own backup
        """
        is_other = verb == transitions.RESTORE and self.id != own_id
        rule = TABLE[self.state][transitions.RESTORE_OTHER if is_other else verb]
        if rule.do == transitions.REFUSE:
            what = f"{self.state} ({self.id})" if self.id else self.state
            raise Failure(
                f"refused: {what}",
                fix=rule.next.format(id=self.id, home=app.home),
            )
        return rule


def cut(operation: Operation) -> Left:
    """An operation that was interrupted."""
    return Left(CUT.get(operation.kind, transitions.RELEASE_CUT), operation.id)


def left_by_restore(app: AppPaths) -> Left | None:
    """What a restore left that no operation continues."""
    state = read_state(app)
    if state is None:
        return Left(transitions.RESTORE_UNREADABLE) if os.path.lexists(app.restoring) else None
    is_whole = state.step in WHOLE
    return Left(transitions.RESTORE_ENDED if is_whole else transitions.RESTORE_BROKEN, state.backup)


def settle_restore(app: AppPaths, verb: str, own_id: str = "") -> None:
    """Before a verb: end a restore whose data is whole; its own continues by itself.

    Raises Failure, with the next step, if the verb is refused.
    """
    left = left_by_restore(app)
    if left is None or left.require(app, verb, own_id).do != transitions.FINISH:
        return
    state = read_state(app)
    if state is None:
        keep_unread(app)
    elif (verb, own_id) != (transitions.RESTORE, state.backup):
        settle(app, state)
