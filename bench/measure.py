"""One command, run to its end: how long it took, what it cost, how much memory it had at most."""

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
    """A contender did not do what it is measured for; the message is for a person."""


@dataclass(frozen=True)
class Sample:
    """seconds: from start to end; cpu: seconds of this machine's, children's too; memory: bytes."""

    seconds: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Contender:
    """Something that is measured.

    + prepare: what has to be so before each time, and is not measured
    + run: does it once; raises Broken
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
    seen: Callable[[str], bool] | None = None,
) -> Sample:
    """Run a command and measure it.

    + exits: the exit statuses with which it has done its work
    + seen: whether its output shows that it has
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
        # It has been waited for: Popen must not do so again.
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode not in exits or (seen and not seen(text)):
        end = "\n".join(text.splitlines()[-15:])
        raise Broken(f"{' '.join(argv[:4])} … ended with {process.returncode}:\n{end}")
    # Of a command with children, ru_maxrss is the largest process, not their sum.
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def run_action(contenders: Sequence[Contender], rounds: int) -> dict[str, Sample]:
    """The median of each, all of them measured once a round: a slow minute is everybody's."""
    found: dict[str, list[Sample]] = {one.name: [] for one in contenders}
    for turn in range(rounds):
        for one in contenders:
            one.prepare()
            sample = one.run()
            found[one.name].append(sample)
            said = f"{sample.seconds:8.2f} s   {sample.cpu:7.2f} s CPU"
            console.print(f"  round {turn + 1}/{rounds}  {one.name:34} {said}")
    return {name: _median(samples) for name, samples in found.items()}


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(
        median(one.seconds for one in samples),
        median(one.cpu for one in samples),
        round(median(one.memory for one in samples)),
    )


def bin(name: str) -> str:
    """A program of the environment that this runs in."""
    return str(Path(sys.executable).with_name(name))
