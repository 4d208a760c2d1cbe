"""APP/restore/state.json: the progress of a restore."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpuhost.runner.contract import RESTORE, AppPaths, from_json
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.data.stored import Manifest, Stored
from gpuhost.runner.lib.files import read_state_json, write_json
from gpuhost.runner.state.journal import BEGIN, END, GIVEN_UP, START, UNDO, Entry, Journal

STAGING, EXCHANGING, UNDOING = "staging", "exchanging", "undoing"
# The previous data is back; the app has not been verified with it yet.
DATA_BACK = "data-back"
DONE, UNDO_DONE = "done", "undone"
# In the other steps only a part of the data may be exchanged.
WHOLE = (STAGING, DATA_BACK, DONE, UNDO_DONE)
# A note of the engine that is stored, and the step that it is stored as.
STEPS = {
    (END, "stage"): EXCHANGING,
    (UNDO, RESTORE): UNDOING,
    (END, "exchange back"): DATA_BACK,
    (END, "undo"): UNDO_DONE,
    (END, "verify"): DONE,
}
# What has happened before a step.
_STAGED = ((END, "stage"), (BEGIN, "exchange"))
_UNDOING = (*_STAGED, (UNDO, RESTORE))
_BACK = (*_UNDOING, (END, "exchange back"))
PAST = {
    STAGING: (),
    UNDOING: _UNDOING,
    DATA_BACK: _BACK,
    UNDO_DONE: (*_BACK, (END, "undo")),
}


@dataclass(frozen=True)
class State:
    """The content of state.json."""

    backup: str
    aside: str  # directory under backups/
    step: str = STAGING
    exchanges: tuple[Exchange, ...] = ()
    # How many of them were begun, in their order; one more: those of databases. None: of an earlier
    # gpuhost, which did not note it.
    begun: int | None = None
    # The backup's own, so that the restore can end without the backup once all is staged.
    manifest: Manifest | None = None
    said: str = ""  # why it is undone
    output: tuple[str, ...] = ()
    fix: str = ""
    aborted_by: str = ""
    starts: int = 1  # of the runner

    @property
    def undone(self) -> str:
        """The directory under backups/ for the data that an undo replaces."""
        return self.aside.replace("before-", "undone-", 1)

    def undone_of(self, exchange: Exchange) -> str:
        """Where the data that was exchanged is kept after an undo."""
        return exchange.aside.replace(self.aside, self.undone)

    def is_begun(self, number: int) -> bool:
        """+ number: of an exchange, from 1"""
        return self.begun is None or number <= self.begun


class StateJournal(Journal):
    """A journal that is stored as the step in state.json."""

    last_begun = RESTORE

    def __init__(self, path: Path, state: State) -> None:
        self._path, self.state = path, state
        past = PAST.get(state.step, _STAGED)
        self.entries = [Entry.now(event, stage) for event, stage in past]

    def note(self, event: str, stage: str = "") -> None:
        self.entries.append(Entry.now(event, stage))
        # The first start is before the file.
        if event == START and self._path.exists():
            self.store(starts=self.state.starts + 1)
        # A person who restores again gets all tries again.
        if event == GIVEN_UP:
            self.store(starts=0)
        if step := STEPS.get((event, stage)):
            self.store(step=step)

    @property
    def starts(self) -> int:
        return self.state.starts

    def store(self, **changed: object) -> None:
        """Raises OSError; then the state is as before."""
        state = replace(self.state, **changed)  # type: ignore[arg-type]
        write_json(self._path, asdict(state), mode=0o600)
        self.state = state


def new_state(app: AppPaths, backup: Stored) -> State:
    first = aside = f"before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    number = 1
    # The clock may have been set back; an undo must not find the data of another restore there.
    while (app.backups / aside).exists():
        number += 1
        aside = f"{first}.{number}"
    return State(backup.name, aside, begun=0, manifest=backup.manifest)


def read_state(app: AppPaths) -> State | None:
    """None if it is missing or damaged. Raises OSError: a read error may be temporary."""
    try:
        return from_json(State, read_state_json(app.restoring))
    except (ValueError, TypeError):
        return None
