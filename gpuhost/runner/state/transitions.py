"""What each verb does with work that another verb left unfinished: one table.

docs/architecture.md has the same table; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

# The work is completed, or the state before it is restored; then the verb goes on.
FINISH, UNDO = "finish", "undo"
# Nothing is changed; the rule names the next step.
REFUSE = "refuse"
GO_ON = "go on"

# Verbs. A restore of the backup that the unfinished restore is of, and of another one.
RELEASE, ROLLBACK, BACKUP, REMOVE = "release", "rollback", "backup", "remove"
RESTORE, RESTORE_OTHER = "restore", "restore another"
ABORT, RESUME = "abort", "resume"
VERBS = (RELEASE, ROLLBACK, RESTORE, RESTORE_OTHER, BACKUP, REMOVE, ABORT, RESUME)

# States.
RELEASE_CUT = "a release or a rollback was interrupted"
RESTORE_CUT = "a restore was interrupted"
REMOVAL_CUT = "a removal was interrupted"
RESTORE_BROKEN = "the undo of a restore failed: only a part of the data is exchanged"
RESTORE_UNREADABLE = "the state of a restore cannot be read"
RESTORE_ENDED = "a restore has ended, also one that failed, and the data is whole"
UNDO_FAILED = "the previous release could not be restored"
COPY_CUT = "a copy of the source's content into shared/ has not ended"
BACKUP_CUT = "a backup is incomplete"
DATABASE_ASIDE = "a database of an earlier restore is still beside the one in use"


@dataclass(frozen=True)
class Rule:
    """What a verb does.

    + next: after a refusal: what a person does, which loses nothing. {id}: of the restore's backup;
      {home}: the app's directory
    """

    do: str
    next: str = ""


RESTORE_AGAIN = "restore {id} again: this finishes or undoes it, and deletes nothing"
MOVE_ASIDE = (
    "restore a backup: what is in place is set aside, not deleted. To keep what is in place: "
    "compare {home}/shared with {home}/backups/before-restore-*, copy back what is missing, then "
    "run mv {home}/restore {home}/restore.unread"
)
REMOVE_AGAIN = "release the app: this undoes the removal; or remove it again: this finishes it"
WAIT = "release, roll back or restore: this first finishes or undoes it; so does the next boot"

ALL_GO_ON = dict.fromkeys(VERBS, Rule(GO_ON))
TABLE: dict[str, dict[str, Rule]] = {
    RELEASE_CUT: {
        **dict.fromkeys((RELEASE, ROLLBACK, RESTORE, RESTORE_OTHER, RESUME), Rule(FINISH)),
        BACKUP: Rule(REFUSE, WAIT),
        # Its containers are removed with the app.
        REMOVE: Rule(GO_ON),
        ABORT: Rule(UNDO),
    },
    RESTORE_CUT: {
        **dict.fromkeys(VERBS, Rule(FINISH)),
        BACKUP: Rule(REFUSE, WAIT),
        ABORT: Rule(UNDO),
    },
    REMOVAL_CUT: {
        **dict.fromkeys(VERBS, Rule(REFUSE, REMOVE_AGAIN)),
        # It makes again what is removed already.
        RELEASE: Rule(UNDO),
        REMOVE: Rule(FINISH),
        RESUME: Rule(GO_ON),
    },
    RESTORE_BROKEN: {
        **dict.fromkeys(VERBS, Rule(REFUSE, RESTORE_AGAIN)),
        RESTORE: Rule(FINISH),
    },
    RESTORE_UNREADABLE: {
        **dict.fromkeys(VERBS, Rule(REFUSE, MOVE_ASIDE)),
        RESTORE: Rule(FINISH),
        RESTORE_OTHER: Rule(FINISH),
    },
    RESTORE_ENDED: {**dict.fromkeys(VERBS, Rule(FINISH)), ABORT: Rule(GO_ON)},
    UNDO_FAILED: ALL_GO_ON,
    COPY_CUT: {**ALL_GO_ON, RELEASE: Rule(FINISH), ROLLBACK: Rule(FINISH)},
    BACKUP_CUT: {**ALL_GO_ON, BACKUP: Rule(UNDO)},
    DATABASE_ASIDE: {**ALL_GO_ON, RESTORE: Rule(FINISH), RESTORE_OTHER: Rule(FINISH)},
}


def markdown() -> str:
    """The table for docs/architecture.md."""
    rows = [("left unfinished", *VERBS), ("---",) * (len(VERBS) + 1)]
    rows += [(state, *(TABLE[state][verb].do for verb in VERBS)) for state in TABLE]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
