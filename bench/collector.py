"""What one reading costs the host that is read: CPU in total, and of each part."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from statistics import median

from bench import lab
from bench.machine import machine
from bench.measure import Broken, console
from bench.result import Goal, Result, Table

ROUNDS = 7
SHOWN = 12
HERE = Path(__file__).with_name("on_host")
# How the collector starts a probe's command, and the same with a measurement around it.
START = 'timeout -k 1 "$limit" "$@" '
MEASURED = 'timeout -k 1 "$limit" python3 -I -S "$PART" "$work/$name.cpu" "$@" '
# Runs a command on the host with this stdin, and returns its stdout and stderr.
Ask = Callable[[str, str], tuple[str, str]]


def collector() -> Result:
    hosts = lab.ready_hosts(2)
    text, host = lab.collector(hosts), hosts[-1]

    def ask(command: str, given: str) -> tuple[str, str]:
        done = host.run(command, stdin=given.encode(), timeout=300)
        return done.stdout, done.stderr

    return measured(ask, text, f"a lab host, Debian {host.state.release}, with a simulated card")


def measured(ask: Ask, text: str, where: str) -> Result:
    """Read several times: first measured as a whole, then by part."""
    console.print(f"the collector on {where}")
    whole = [_whole(ask, text) for _ in range(ROUNDS)]
    parts = [_parts(ask, text) for _ in range(ROUNDS)]
    cpu, wall = (median(one[place] for one in whole) / 1e6 for place in (0, 1))
    costs = {name: median(one.get(name, 0) for one in parts) / 1e6 for name in parts[0]}
    ranked = sorted(costs.items(), key=lambda one: -one[1])
    rest = max(0.0, cpu - sum(costs.values()))
    rows = [*ranked[:SHOWN], (f"{len(ranked[SHOWN:])} more", sum(one for _, one in ranked[SHOWN:]))]
    rows.append(("the shells, timeout, tar, gzip, base64", rest))
    return Result(
        part="collector",
        title="What a reading costs the host",
        machine=machine(),
        tables=(
            Table(("", "wall", "CPU"), (("the whole reading", f"{wall:.2f} s", f"{cpu:.2f} s"),)),
            Table(
                ("part", "CPU", "share"),
                tuple((name, f"{1000 * one:.1f} ms", f"{one / cpu:.0%}") for name, one in rows),
            ),
        ),
        goals=(Goal("CPU of a reading on the host", cpu, "<=", 0.3, " s"),),
        notes=(
            f"On {where}. CPU is the sum of all processes of the reading, including those that "
            "outlive their shell. The parts are measured in separate readings, with a measurement "
            "around each command.",
        ),
    )


def _whole(ask: Ask, text: str) -> tuple[int, int]:
    """CPU and wall time, in microseconds."""
    program = (HERE / "whole.py").read_text()
    _, error = ask(f"python3 -I -S -c {quote(program)}", text)
    cpu, wall = error.split()[-2:]
    return int(cpu), int(wall)


def _parts(ask: Ask, text: str) -> dict[str, int]:
    """CPU of each part's command, in microseconds."""
    if text.count(START) != 1:
        raise Broken("the collector starts its probes in a way that this part does not know")
    program = base64.b64encode((HERE / "part.py").read_bytes()).decode()
    head = f"PART=$(mktemp); export PART; echo {program} | base64 -d >$PART; trap 'rm $PART' EXIT\n"
    # The collector sets a trap of its own, so it runs in a shell inside this one.
    out, _ = ask(f"{head} sh", text.replace(START, MEASURED))
    packed = base64.b64decode("".join(out.split()))
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        files = {
            member.name.removeprefix("./").removesuffix(".cpu"): archive.extractfile(member)
            for member in archive.getmembers()
            if member.name.endswith(".cpu")
        }
        return {name: int(file.read()) for name, file in files.items() if file}
