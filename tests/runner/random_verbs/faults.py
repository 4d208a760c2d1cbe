"""Faults at the n-th changing system call of a process: a kill, an error, a jump of the clock."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGING = frozenset(
    f"os.{name}"
    for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink",
                 "removexattr", "setxattr", "truncate", "utime")
)  # fmt: skip
# A full disk still deletes and renames.
NEEDS_SPACE = frozenset(
    ("open", "fsync", "write", "os.mkdir", "os.symlink", "os.link", "os.setxattr")
)
KILLED = 137


@dataclass(frozen=True)
class Fault:
    """+ kind: "none", "kill", "EIO" (once), "ENOSPC" (from then on), "clock"
    + at: which changing call, from 1
    + jump: seconds, of the clock
    """

    kind: str = "none"
    at: int = 0
    jump: float = 0.0

    def __str__(self) -> str:
        more = f" by {self.jump / 86400:+.0f} days" if self.kind == "clock" else ""
        return "" if self.kind == "none" else f" [{self.kind}{more} at call {self.at}]"


@dataclass
class Injection:
    """In the process that it is installed in: audit hooks cannot be removed.

    + beneath: paths elsewhere, such as those of imports, are not counted
    + offset: of the clock, before the jump
    """

    fault: Fault
    beneath: str
    offset: float = 0.0
    seen: int = 0
    real: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def install(self) -> None:
        sys.addaudithook(self._audit)
        self.real = {name: getattr(time, name) for name in ("time", "gmtime", "localtime")}
        self.real |= {"fsync": os.fsync, "write": os.write, "open": io.open}
        os.fsync = self._fsync
        os.write = lambda number, data: self.write(number, data, self.real["write"])
        io.open = builtins.open = self._open
        time.time = lambda: self.real["time"]() + self.offset
        time.gmtime = lambda seconds=None: self.real["gmtime"](
            time.time() if seconds is None else seconds
        )
        time.localtime = lambda seconds=None: self.real["localtime"](
            time.time() if seconds is None else seconds
        )

    def _fsync(self, number: int) -> None:
        self.count("fsync")
        self.real["fsync"](number)

    def write(self, number: int, data: Any, write: Callable[[int, Any], int]) -> int:
        """A fault comes when one half is written."""
        if not os.path.realpath(f"/proc/self/fd/{number}").startswith(self.beneath):
            return write(number, data)
        half = memoryview(data)[: len(data) // 2]
        self.count("write", lambda: half and write(number, half))
        return write(number, data)

    def _open(
        self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any
    ) -> IO[Any]:
        """As open(), which writes without a call that Python code can see."""
        if not set(mode) & set("wax+"):
            opened: IO[Any] = self.real["open"](file, mode, buffering, *more, **named)
            return opened
        of_raw = {key: named.pop(key) for key in ("closefd", "opener") if key in named}
        raw: Any = CountedFile(file, mode.translate({ord("b"): None, ord("t"): None}), **of_raw)
        raw.injection = self
        if buffering == 0:
            return raw  # type: ignore[no-any-return]
        buffer: Any = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        if "b" in mode:
            return buffer  # type: ignore[no-any-return]
        return io.TextIOWrapper(buffer, *more, **named, line_buffering=buffering == 1)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGING or (event == "open" and self._is_write(arguments)):
            self.count(event)

    def _is_write(self, arguments: tuple[Any, ...]) -> bool:
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITES or isinstance(path, int):
            return False
        name = os.fsdecode(path)
        return not name.startswith("/") or name.startswith((self.beneath, "/proc/self/fd"))

    def count(self, event: str, begin: Callable[[], object] = lambda: None) -> None:
        """+ begin: does a part of it, before the fault"""
        self.seen += 1
        kind, at = self.fault.kind, self.fault.at
        if kind == "clock" and self.seen == at:
            self.offset += self.fault.jump
        elif kind == "kill" and self.seen == at:
            begin()
            os._exit(KILLED)
        elif kind == "EIO" and self.seen == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        elif kind == "ENOSPC" and self.seen >= at and event in NEEDS_SPACE:
            begin()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class CountedFile(io.FileIO):
    """What files opened by open() write to."""

    injection: Injection

    def write(self, data: Any) -> int:
        return self.injection.write(
            self.fileno(), data, lambda _, part: super(CountedFile, self).write(part)
        )

    def truncate(self, size: int | None = None) -> int:
        self.injection.count("os.truncate")
        return super().truncate(size)
