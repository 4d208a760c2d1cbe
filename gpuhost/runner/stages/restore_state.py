"""APP/restore/state.json: how far a restore is."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpuhost.runner.contract import RESTORE, AppPaths, from_json
from gpuhost.runner.data.exchange import Exchange
from gpuhost.runner.data.stored import Manifest, Stored
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.state.journal import BEGIN, END, UNDO

STAGING, EXCHANGING, UNDOING = "staging", "exchanging", "undoing"
# From here on the data is left alone: only what is not needed any more is removed.
DONE, UNDONE = "done", "undone"
# What the engine notes, and the step that this is on disk.
STEPS = {
    (END, "stage"): EXCHANGING,
    (UNDO, RESTORE): UNDOING,
    (END, "undo"): UNDONE,
    (END, "verify"): DONE,
}


@dataclass(frozen=True)
class State:
    """What is in it."""

    backup: str
    aside: str  # directory under backups/
    step: str = STAGING
    exchanges: tuple[Exchange, ...] = ()
    # Once all is staged, this is what is still needed of the backup.
    manifest: Manifest | None = None
    said: str = ""  # why it is undone
    output: tuple[str, ...] = ()
    fix: str = ""


class Steps:
    """The engine's notes, as state.json has them."""

    starts = 1
    last_begun = RESTORE

    def __init__(self, path: Path, state: State) -> None:
        self._path = path
        self.state = state
        self.started = time.time()

    def note(self, event: str, stage: str = "") -> None:
        step = STEPS.get((event, stage))
        if step:
            self.state = replace(self.state, step=step)
            write_json(self._path, asdict(self.state), mode=0o600)

    def has(self, event: str, stage: str | None = None) -> bool:
        step = self.state.step
        if event == UNDO:
            return step in (UNDOING, UNDONE)
        if event == BEGIN or stage == "stage":
            return step != STAGING
        return STEPS.get((event, stage or "")) == step


def new_state(backup: Stored) -> State:
    aside = f"before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    return State(backup.name, aside, manifest=backup.manifest)


def read_state(app: AppPaths) -> State | None:
    try:
        return from_json(State, json.loads(app.restoring.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
