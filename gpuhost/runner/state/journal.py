"""The journal of a release: which stages have begun and ended, written before they do.

After an interruption the next runner reads it to finish or undo the release.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.files import append

START = "start"  # a runner started on it
BEGIN = "begin"  # a stage
END = "end"
UNDO = "undo"  # the previous state is being restored


@dataclass(frozen=True)
class Entry:
    event: str
    stage: str
    at: float


class Journal:
    """The journal of one release."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = list(_read(path))

    def note(self, event: str, stage: str = "") -> None:
        entry = Entry(event, stage, time.time())
        self.entries.append(entry)
        append(self._path, json.dumps({"event": event, "stage": stage, "at": entry.at}))

    def has(self, event: str, stage: str | None = None) -> bool:
        """Whether the journal has this event, of this stage or, without one, of any."""
        return any(e.event == event and stage in (None, e.stage) for e in self.entries)

    @property
    def starts(self) -> int:
        return sum(entry.event == START for entry in self.entries)

    @property
    def last_begun(self) -> str:
        """A stage; "start" before the first one."""
        return next((e.stage for e in reversed(self.entries) if e.event == BEGIN), "start")

    @property
    def started(self) -> float:
        return self.entries[0].at if self.entries else time.time()


def _read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(line)
            entries.append(Entry(value["event"], value["stage"], value["at"]))
        except (ValueError, KeyError, TypeError):
            # Written during a power cut: what it announces had not begun.
            continue
    return entries
