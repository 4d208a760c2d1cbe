"""Durations without the wall clock, which a person or a time server may set at any moment."""

from __future__ import annotations

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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
