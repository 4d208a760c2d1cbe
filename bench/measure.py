"""Run one command to its end: its time, its CPU time, its peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Timer

from rich.console import Console

console = Console(highlight=False, stderr=True)
LIMIT = 3600


class Broken(RuntimeError):
    """A contender did not do the work that is measured; the message is for a person."""


@dataclass(frozen=True)
class Sample:
    """seconds: from start to end; cpu: seconds on this machine, with children; memory: bytes;
    server: seconds of CPU of the simulated hosts.
    """

    seconds: float
    cpu: float
    memory: int
    server: float = 0.0


@dataclass(frozen=True)
class Contender:
    """Something that is measured.

    + prepare: runs before each round, and is not measured
    + run: runs it once; raises Broken
    """

    name: str
    run: Callable[[], Sample]
    prepare: Callable[[], None] = lambda: None


def timed(
    argv: Sequence[str],
    *,
    exits: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
    is_complete: Callable[[str], bool] | None = None,
) -> Sample:
    """Run a command and measure it.

    + exits: the exit statuses of success
    + is_complete: whether its output shows that it has done its work
    """
    with tempfile.TemporaryFile() as out, (stdin or Path(os.devnull)).open("rb") as given:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=given, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        deadline = Timer(LIMIT, process.kill)
        deadline.daemon = True
        deadline.start()
        _, status, usage = os.wait4(process.pid, 0)
        deadline.cancel()
        seconds = time.monotonic() - began
        # os.wait4 has waited for it: Popen must not wait again.
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode not in exits or (is_complete and not is_complete(text)):
        end = "\n".join(text.splitlines()[-15:])
        raise Broken(f"{' '.join(argv[:4])} … ended with {process.returncode}:\n{end}")
    # Of a command with children, ru_maxrss is the largest process, not their sum.
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def run_in_rounds(contenders: Sequence[Contender], rounds: int) -> dict[str, Sample]:
    """The median of each. Every round measures all of them: a slow minute slows all alike."""
    by_name: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            contender.prepare()
            sample = contender.run()
            by_name[contender.name].append(sample)
            times = f"{sample.seconds:8.2f} s   {sample.cpu:7.2f} s CPU"
            console.print(f"  round {number}/{rounds}  {contender.name:34} {times}")
    return {name: _median(samples) for name, samples in by_name.items()}


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(
        median(sample.seconds for sample in samples),
        median(sample.cpu for sample in samples),
        round(median(sample.memory for sample in samples)),
        median(sample.server for sample in samples),
    )


def bin(name: str) -> str:
    """A program of this Python environment."""
    return str(Path(sys.executable).with_name(name))
