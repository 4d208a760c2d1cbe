"""The journal of a release: which stages have begun and ended, written before they do.

After an interruption the next runner reads it to finish or undo the release.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract import from_json, read_state
from gpuhost.runner.lib import boot_time
from gpuhost.runner.lib.files import append

START = "start"  # a runner started on it
BEGIN = "begin"  # a stage
END = "end"
UNDO = "undo"  # the previous state is being restored
GIVEN_UP = "given up"  # the undo has failed, and ends
# Stages that start containers of the release.
MIGRATE, UP = "migrate", "up"
STARTING = (MIGRATE, UP)


@dataclass(frozen=True)
class Entry:
    """An event.

    + at: by the wall clock, for people
    + boot, up: the id of the boot, and the seconds since it; "" of an older gpuhost
    """

    event: str
    stage: str
    at: float
    boot: str = ""
    up: float = 0.0

    @classmethod
    def now(cls, event: str, stage: str) -> Entry:
        return cls(event, stage, time.time(), boot_time.boot(), boot_time.seconds())


class Journal:
    """The journal of one release.

    + is_damaged: lines cannot be read, or are lost: something had begun or ended
    """

    is_damaged = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: list[Entry] = []
        # A line without its end was written during a power cut: what it announces had not begun.
        for line in _lines(path)[:-1]:
            entry = _entry(line)
            self.is_damaged |= entry is None
            self.entries += [entry] if entry else []

    def note(self, event: str, stage: str = "") -> None:
        entry = Entry.now(event, stage)
        self.entries.append(entry)
        append(self._path, json.dumps(asdict(entry)))

    def has(self, event: str, stage: str | None = None) -> bool:
        """Whether the journal has this event, of this stage or, without one, of any."""
        return any(e.event == event and stage in (None, e.stage) for e in self.entries)

    @property
    def has_started(self) -> bool:
        """Whether containers of the release may have run."""
        return self.is_damaged or any(self.has(BEGIN, stage) for stage in STARTING)

    @property
    def starts(self) -> int:
        return sum(entry.event == START for entry in self.entries)

    @property
    def last_begun(self) -> str:
        """A stage; "start" before the first one."""
        return next((e.stage for e in reversed(self.entries) if e.event == BEGIN), "start")

    @property
    def started(self) -> float:
        """By the wall clock."""
        return self.entries[0].at if self.entries else time.time()

    @property
    def elapsed_s(self) -> float:
        """Since the first event. The time between the last event of a boot and the next boot is
        not known, and not counted.
        """
        return sum(_durations([*self.entries, Entry.now("", "")]))


def _durations(entries: list[Entry]) -> Iterator[float]:
    """Of each boot."""
    for boot in {entry.boot for entry in entries} - {""}:
        moments = [entry.up for entry in entries if entry.boot == boot]
        yield max(moments) - min(moments)


def _lines(path: Path) -> list[bytes]:
    """At least one, the last of which has no end."""
    try:
        return read_state(path).split(b"\n")
    except FileNotFoundError:
        return [b""]
    except ValueError:
        return [b"no journal", b""]


def _entry(line: bytes) -> Entry | None:
    try:
        entry = from_json(Entry, json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if math.isfinite(entry.at) and math.isfinite(entry.up) else None
