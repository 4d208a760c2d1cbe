"""What a release has begun and ended, on disk before anything else is done.

The next runner, started by systemd, at boot or by the next run, knows from it
whether the release is to be finished or undone.
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
UNDO = "undo"  # from here on the previous state is restored


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
        """Whether that was noted, for this stage or, without one, for any."""
        noted = (entry for entry in self.entries if entry.event == event)
        return any(stage in (None, entry.stage) for entry in noted)

    @property
    def starts(self) -> int:
        return sum(entry.event == START for entry in self.entries)

    @property
    def last_begun(self) -> str:
        """The stage; "start": none was begun."""
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
            # The power went while this line was written: what it would have said had not begun.
            continue
    return entries
