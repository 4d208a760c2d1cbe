"""Finds processes that the kernel killed because memory was full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.lib.sizes import format_size

VMSTAT = Path("/proc/vmstat")
STAMP = re.compile(r"^\[\s*(\d+\.\d+)\]")
KILLED = re.compile(
    r"(?P<limit>Memory cgroup out of memory|Out of memory)[^:]*: Kill(?:ed)? process \d+ "
    r"\((?P<task>.*)\)(?:.*?anon-rss:(?P<kib>\d+)kB)?"
)


@dataclass(frozen=True)
class Moment:
    """A position in the kernel's log: the time of its last line, and the number of kills."""

    stamp: float
    kills: int


def current_moment() -> Moment:
    stamps = [float(stamp[1]) for line in _kernel_log() if (stamp := STAMP.match(line))]
    return Moment(max(stamps, default=0.0), _kill_count())


def killed_since(moment: Moment) -> tuple[str, str] | None:
    """The reason and its fix; None if the kernel killed nothing."""
    for line in reversed(_kernel_log()):
        stamp, kill = STAMP.match(line), KILLED.search(line)
        if stamp and kill and float(stamp[1]) > moment.stamp:
            return _limit(kill) if kill["limit"].startswith("Memory") else _host(kill)
    if _kill_count() > moment.kills:
        return (
            "out of memory: the kernel killed a process (its log cannot be read)",
            "enlarge the swap file (swap_size_gb), or run fewer jobs (MAX_JOBS=1, make -j1)",
        )
    return None


def _host(match: re.Match[str]) -> tuple[str, str]:
    return (
        f"the host ran out of memory, and the kernel killed {_process(match)}",
        "enlarge the swap file (swap_size_gb), run fewer jobs in the step (MAX_JOBS=1, make -j1), "
        "or build the image elsewhere; set build.memory_gb in the app file to check this first",
    )


def _limit(match: re.Match[str]) -> tuple[str, str]:
    return (
        f"a memory limit was reached, and the kernel killed {_process(match)}",
        "raise the limit (container: resources.SERVICE.memory_gb; build: the limit of "
        "docker.service or its slice), or run fewer jobs in the step",
    )


def _process(match: re.Match[str]) -> str:
    size = f" ({format_size(int(match['kib']) * 1024)})" if match["kib"] else ""
    return f"{match['task']}{size}"


def _kernel_log() -> list[str]:
    return try_run(NOWHERE, "dmesg", seconds=15, quiet=True).out.splitlines()


def _kill_count() -> int:
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
