"""Processes that the kernel killed for want of memory, by its own word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.log import NOWHERE

VMSTAT = Path("/proc/vmstat")
STAMP = re.compile(r"^\[\s*(\d+\.\d+)\]")
KILLED = re.compile(
    r"(?P<limit>Memory cgroup out of memory|Out of memory)[^:]*: Kill(?:ed)? process \d+ "
    r"\((?P<task>.*)\)(?:.*?anon-rss:(?P<kib>\d+)kB)?"
)


@dataclass(frozen=True)
class Moment:
    """A point in the kernel's log: the time of its last line, and the kills that it had counted."""

    stamp: float
    kills: int


def now() -> Moment:
    stamps = [float(found[1]) for line in _kernel_log() if (found := STAMP.match(line))]
    return Moment(max(stamps, default=0.0), _counted())


def killed_since(moment: Moment) -> tuple[str, str] | None:
    """What was killed and why, and what to do; None: nothing was."""
    for line in reversed(_kernel_log()):
        stamp, found = STAMP.match(line), KILLED.search(line)
        if stamp and found and float(stamp[1]) > moment.stamp:
            return _limit(found) if found["limit"].startswith("Memory") else _host(found)
    if _counted() > moment.kills:
        return (
            "the kernel killed a process for want of memory (its log cannot be read)",
            "a larger swap (swap_size_gb), or fewer jobs in the step (MAX_JOBS=1, make -j1)",
        )
    return None


def _host(match: re.Match[str]) -> tuple[str, str]:
    return (
        f"the host ran out of memory, and the kernel killed {_who(match)}",
        "a larger swap (swap_size_gb), fewer jobs in the step (MAX_JOBS=1, make -j1), or build the "
        "image elsewhere; build.memory_gb in the app file refuses before it begins",
    )


def _limit(match: re.Match[str]) -> tuple[str, str]:
    return (
        f"a memory limit was reached, and the kernel killed {_who(match)}",
        "raise the limit (of the container: resources.SERVICE.memory_gb; of a build: what limits "
        "docker.service or its slice), or fewer jobs in the step",
    )


def _who(match: re.Match[str]) -> str:
    size = f" ({int(match['kib']) / (1 << 20):.1f} GB)" if match["kib"] else ""
    return f"{match['task']}{size}"


def _kernel_log() -> list[str]:
    return try_run(NOWHERE, "dmesg", seconds=15, quiet=True).out.splitlines()


def _counted() -> int:
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
