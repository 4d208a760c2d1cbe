"""Ten real hosts: the check, drift, and provisioning that changes nothing, against OpenSSH."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import lab
from bench.machine import machine
from bench.measure import Contender, Sample, bin, run_in_rounds, timed
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
        samples = run_in_rounds(contenders, ROUNDS)
    floor = samples[FLOOR].seconds
    return Result(
        part="fleet",
        title=f"{len(hosts)} lab hosts: the check against OpenSSH",
        machine=machine(),
        tables=(table(samples, FLOOR),),
        goals=(
            Goal(f"{CHECK}: wall against OpenSSH", samples[CHECK].seconds / floor, "<=", 1.2),
            Goal(f"{DRIFT}: wall against OpenSSH", samples[DRIFT].seconds / floor, "<=", 1.2),
            Goal(
                "provisioning that changes nothing: wall against the check",
                samples[AGAIN].seconds / samples[CHECK].seconds, "<=", 1.5,
            ),
        ),
        notes=(
            "The hosts are containers on the machine that runs the commands: the collectors of ten "
            "hosts share its cores, and take most of the time of every contender. Parallel OpenSSH "
            "sends the same script, with the same number of ssh at a time, and does nothing with "
            "the replies.",
        ),
    )  # fmt: skip


def check() -> Contender:
    return Contender(CHECK, lambda: ours("gpuhost", "check", lab.INVENTORY, "--json"))


def ours(program: str, *words: str) -> Sample:
    return timed([bin(program), *words], cwd=ROOT, env=lab.ENVIRONMENT)


def table(samples: dict[str, Sample], against: str) -> Table:
    """A row for each contender, its wall time compared with that of one of them."""
    base = samples[against].seconds
    rows = [
        (name, f"{sample.seconds:.2f} s", f"{sample.cpu:.2f} s", f"{sample.seconds / base:.2f}x")
        for name, sample in samples.items()
    ]
    return Table(("", "wall", "CPU", f"against {against}"), tuple(rows))
