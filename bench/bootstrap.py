"""A blank host to a ready one, against a bare script with the same packages, files and commands."""

from __future__ import annotations

from pathlib import Path

from bench import lab
from bench.machine import machine
from bench.measure import Contender, Sample, bin, run_action, timed
from bench.openssh import SAME_EXCHANGE
from bench.result import Goal, Result, Table
from tests.e2e.commands import ROOT
from tests.lab.hosts import LabHost

ROUNDS = 3
BARE = Path(__file__).with_name("bare.sh")
OURS = "pyinfra deploys/gpu_host.py"
SAME_CALLS, ONE_CALL = "bare.sh, the same calls of apt-get", "bare.sh, one apt-get install for all"


def bootstrap() -> Result:
    host = lab.blank_host()
    contenders = [
        Contender(OURS, _provisioned, host.reset),
        Contender(SAME_CALLS, lambda: _scripted(host, "in-turn"), host.reset),
        Contender(ONE_CALL, lambda: _scripted(host, "at-once"), host.reset),
    ]
    found = run_action(contenders, ROUNDS)
    ratio = found[OURS].seconds / found[SAME_CALLS].seconds
    rows = [
        (name, f"{one.seconds:.1f} s", f"{one.cpu:.1f} s", f"{one.seconds / base:.2f}x")
        for base in [found[SAME_CALLS].seconds]
        for name, one in found.items()
    ]
    return Result(
        part="bootstrap",
        title="A blank host to a ready one",
        machine=machine(),
        tables=(Table(("", "wall", "CPU here", "against bare.sh"), tuple(rows)),),
        goals=(Goal("first bootstrap: wall against the bare script", ratio, "<=", 1.2),),
        notes=(
            "One lab host, Debian 13 with a simulated card, blank again before each time. "
            "Debian's packages come from its archive, Docker's and NVIDIA's are the lab's "
            "stand-ins on this machine. The script (bench/bare.sh) looks at nothing before and "
            "verifies nothing after. The goal is against the one with the same calls of apt-get.",
            "What is left: a reading before each change, the change of the firewall confirmed by a "
            "fresh login, and the verification of everything at the end.",
        ),
    )


def _provisioned() -> Sample:
    return timed([bin("pyinfra"), *lab.DEPLOY], cwd=ROOT, env=lab.ENVIRONMENT)


def _scripted(host: LabHost, order: str) -> Sample:
    base = lab.lab().save().repository.base
    words = [f"{base}/docker-ce", f"{base}/libnvidia-container", order]
    # Keys are exchanged as pyinfra does it; here it is no part of what is compared.
    ssh = ["ssh", f"-oKexAlgorithms={SAME_EXCHANGE}", *lab.login(host).line().split()]
    return timed([*ssh, "sh", "-s", "--", *words], stdin=BARE)
