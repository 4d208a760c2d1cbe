"""What each verb does with work that another verb left unfinished: one table.

docs/architecture.md has the same table; a test compares them, and changes each answer to see that
the code follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpuhost.runner.contract import RELEASE, REMOVE, RESTORE, ROLLBACK, AppPaths
from gpuhost.runner.lib.files import damaged_path


class Do(Enum):
    """An answer of the table."""

    # First the work is completed or undone; then the verb goes on.
    FINISH = "finish"
    # The state before the work is restored.
    UNDO = "undo"
    # What the work left is kept under another name; then the verb goes on.
    SET_ASIDE = "set aside"
    # Until another verb has finished or undone it.
    WAIT = "wait"
    # The verb changes nothing.
    REFUSE = "refuse"
    # Nothing comes first: the verb continues the work, replaces it, or is not concerned.
    GO_ON = "go on"


# The other verbs. A restore of another backup than the unfinished restore is of.
RESTORE_OTHER, BACKUP, ABORT, RESUME = "restore another", "backup", "abort", "resume"
VERBS = (RELEASE, ROLLBACK, RESTORE, RESTORE_OTHER, BACKUP, REMOVE, ABORT, RESUME)

# What is left.
RELEASE_INTERRUPTED = "a release or a rollback was interrupted"
RESTORE_INTERRUPTED = "a restore was interrupted"
REMOVAL_INTERRUPTED = "a removal was interrupted"
RESTORE_BROKEN = "the undo of a restore failed: only a part of the data is exchanged"
RESTORE_DAMAGED = "the state of a restore cannot be read"
RESTORE_ENDED = "a restore has ended, also one that failed, and the data is whole"


@dataclass(frozen=True)
class Rule:
    """What a verb does.

    + next: of a refusal or a wait: what a person does, which loses nothing. {id}: of the restore's
      backup; {home}: the app's directory; {aside}: a free name for its restore/
    """

    do: Do
    next: str = ""


FINISH, UNDO, SET_ASIDE, GO_ON = map(Rule, (Do.FINISH, Do.UNDO, Do.SET_ASIDE, Do.GO_ON))
RESTORE_AGAIN = "restore {id} again: this finishes or undoes it, and deletes nothing"
MOVE_ASIDE = (
    "restore a backup: the present data is set aside, not deleted. Or keep the present data: copy "
    "what is missing in {home}/shared from {home}/backups/before-restore-*, then run "
    "mv {home}/restore {aside}"
)
REMOVE_AGAIN = "release the app: this undoes the removal; or remove it again: this finishes it"
FIRST_END_IT = (
    "release, roll back or restore: this first finishes or undoes it; so does the next boot"
)
WAIT = Rule(Do.WAIT, FIRST_END_IT)

# A state that is of no backup has one rule for all restores.
TABLE: dict[str, dict[str, Rule]] = {
    RELEASE_INTERRUPTED: {
        RELEASE: FINISH,
        ROLLBACK: FINISH,
        RESTORE: FINISH,
        BACKUP: WAIT,
        # Its containers are removed with the app.
        REMOVE: GO_ON,
        ABORT: UNDO,
        RESUME: FINISH,
    },
    RESTORE_INTERRUPTED: {
        **dict.fromkeys(VERBS, FINISH),
        RESTORE: GO_ON,
        BACKUP: WAIT,
        ABORT: UNDO,
    },
    REMOVAL_INTERRUPTED: {
        # It makes again what is removed already.
        RELEASE: GO_ON,
        **dict.fromkeys((ROLLBACK, RESTORE, BACKUP, ABORT), Rule(Do.REFUSE, REMOVE_AGAIN)),
        REMOVE: GO_ON,
        # A boot does not go on with a removal.
        RESUME: GO_ON,
    },
    RESTORE_BROKEN: {
        **dict.fromkeys(VERBS, Rule(Do.REFUSE, RESTORE_AGAIN)),
        RESTORE: GO_ON,
    },
    RESTORE_DAMAGED: {
        **dict.fromkeys(VERBS, Rule(Do.REFUSE, MOVE_ASIDE)),
        RESTORE: SET_ASIDE,
    },
    RESTORE_ENDED: {
        **dict.fromkeys(VERBS, FINISH),
        RESTORE: GO_ON,
        ABORT: GO_ON,
    },
}
del TABLE[RESTORE_DAMAGED][RESTORE_OTHER]


def next_step(app: AppPaths, rule: Rule, id: str = "") -> str:
    """+ id: of the backup of a restore"""
    return rule.next.format(id=id, home=app.home, aside=damaged_path(app.restore))


def rule_of(left: str, verb: str) -> Rule:
    rules = TABLE[left]
    return rules[RESTORE if verb == RESTORE_OTHER and verb not in rules else verb]
