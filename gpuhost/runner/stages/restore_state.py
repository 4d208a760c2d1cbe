"""APP/restore/state.json: the progress of a restore."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpuhost.runner.contract import RESTORE, AppPaths, from_json
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.data.stored import Manifest, Stored
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.state.journal import BEGIN, END, UNDO, Entry, Journal

STAGING, EXCHANGING, UNDOING = "staging", "exchanging", "undoing"
# In these steps the data is final; only the leftovers of the restore are removed.
DONE, UNDONE = "done", "undone"
# A note of the engine that is stored, and the step that it is stored as.
STEPS = {
    (END, "stage"): EXCHANGING,
    (UNDO, RESTORE): UNDOING,
    (END, "undo"): UNDONE,
    (END, "verify"): DONE,
}
# What has happened before a step.
_STAGED = ((END, "stage"), (BEGIN, "exchange"))
PAST = {
    STAGING: (),
    UNDOING: (*_STAGED, (UNDO, RESTORE)),
    UNDONE: (*_STAGED, (UNDO, RESTORE), (END, "undo")),
}


@dataclass(frozen=True)
class State:
    """The content of state.json."""

    backup: str
    aside: str  # directory under backups/
    step: str = STAGING
    exchanges: tuple[Exchange, ...] = ()
    # The backup's own, so that the restore can end without the backup once all is staged.
    manifest: Manifest | None = None
    said: str = ""  # why it is undone
    output: tuple[str, ...] = ()
    fix: str = ""
    aborted_by: str = ""


class StateJournal(Journal):
    """A journal that is stored as the step in state.json."""

    last_begun = RESTORE

    def __init__(self, path: Path, state: State) -> None:
        self._path, self.state = path, state
        past = PAST.get(state.step, _STAGED)
        self.entries = [Entry(event, stage, time.time()) for event, stage in past]

    def note(self, event: str, stage: str = "") -> None:
        self.entries.append(Entry(event, stage, time.time()))
        if step := STEPS.get((event, stage)):
            self.state = replace(self.state, step=step)
            write_json(self._path, asdict(self.state), mode=0o600)


def new_state(backup: Stored) -> State:
    aside = f"before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    return State(backup.name, aside, manifest=backup.manifest)


def read_state(app: AppPaths) -> State | None:
    try:
        return from_json(State, json.loads(app.restoring.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
