"""Ten real hosts: the check, drift, and provisioning that changes nothing, against the floor."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import lab
from bench.machine import machine
from bench.measure import Contender, Sample, bin, run_action, timed
from bench.openssh import everywhere
from bench.result import Goal, Result, Table
from tests.e2e.commands import ROOT

ROUNDS = 7
CHECK, DRIFT, FLOOR = "gpuhost check", "gpuhost drift", "parallel OpenSSH"
DEFAULTS = "parallel OpenSSH, its defaults"
AGAIN = "pyinfra deploys/gpu_host.py, nothing to change"


def fleet() -> Result:
    hosts = lab.ready_hosts()
    text, logins = lab.collector(hosts), [lab.login(host) for host in hosts]
    with TemporaryDirectory() as folder:
        place = Path(folder)
        contenders = [
            check(),
            Contender(DRIFT, lambda: ours("gpuhost", "drift", lab.INVENTORY, "--json")),
            Contender(FLOOR, lambda: everywhere(logins, text, place)),
            Contender(DEFAULTS, lambda: everywhere(logins, text, place, None)),
            Contender(AGAIN, lambda: ours("pyinfra", *lab.DEPLOY)),
        ]
        found = run_action(contenders, ROUNDS)
    floor = found[FLOOR].seconds
    return Result(
        part="fleet",
        title=f"{len(hosts)} lab hosts: the check against the floor",
        machine=machine(),
        tables=(table(found, FLOOR),),
        goals=(
            Goal(f"{CHECK}: wall against OpenSSH", found[CHECK].seconds / floor, "<=", 1.2),
            Goal(f"{DRIFT}: wall against OpenSSH", found[DRIFT].seconds / floor, "<=", 1.2),
            Goal(
                "provisioning that changes nothing: wall against the check",
                found[AGAIN].seconds / found[CHECK].seconds, "<=", 2.0,
            ),
        ),
        notes=(
            "Hosts are containers on the machine that runs the commands: what the collector costs"
            " on ten hosts is paid by the same cores, and is most of the time of all of them. The"
            " floor is the same script, sent by as many ssh at a time, and nothing done with its "
            "replies.",
        ),
    )  # fmt: skip


def check() -> Contender:
    return Contender(CHECK, lambda: ours("gpuhost", "check", lab.INVENTORY, "--json"))


def ours(program: str, *words: str) -> Sample:
    return timed([bin(program), *words], cwd=ROOT, env=lab.ENVIRONMENT)


def table(found: dict[str, Sample], against: str) -> Table:
    """A row a contender, its wall time beside that of one of them."""
    base = found[against].seconds
    rows = [
        (name, f"{one.seconds:.2f} s", f"{one.cpu:.2f} s", f"{one.seconds / base:.2f}x")
        for name, one in found.items()
    ]
    return Table(("", "wall", "CPU", f"against {against}"), tuple(rows))
