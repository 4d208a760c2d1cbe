"""Durations without the wall clock, which a person or a time server may set at any moment."""

from __future__ import annotations

import time
from pathlib import Path

from gpuhost.runner.lib.log import Log

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A time server corrects less than this without a word.
TOLD_JUMP_S = 60


def boot() -> str:
    """The id of this boot; "" if the kernel has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def seconds() -> float:
    """Since the boot, sleep included; the same for every process of this boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall_offset() -> float:
    """The wall clock less the time since the boot: it changes only if the wall clock is set."""
    return time.time() - seconds()


class ClockWatch:
    """Tells in a log when the wall clock was set."""

    def __init__(self, log: Log) -> None:
        self._log, self._offset = log, wall_offset()

    def tell(self) -> None:
        """What has happened since the last call."""
        before, self._offset = self._offset, wall_offset()
        jump = self._offset - before
        if abs(jump) > TOLD_JUMP_S:
            way = "forward" if jump > 0 else "back"
            self._log.write(
                f"warning: the host's clock was set {way} by {abs(jump):.0f} s; no duration and no "
                "limit depends on it"
            )
