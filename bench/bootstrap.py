"""From a blank host to a ready one, compared with a bare script of the same packages and files."""

from __future__ import annotations

from pathlib import Path

from bench import lab
from bench.machine import machine
from bench.measure import Contender, Sample, bin, run_in_rounds, timed
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
    samples = run_in_rounds(contenders, ROUNDS)
    base = samples[SAME_CALLS].seconds
    ratio = samples[OURS].seconds / base
    rows = [
        (name, f"{sample.seconds:.1f} s", f"{sample.cpu:.1f} s", f"{sample.seconds / base:.2f}x")
        for name, sample in samples.items()
    ]
    return Result(
        part="bootstrap",
        title="From a blank host to a ready one",
        machine=machine(),
        tables=(Table(("", "wall", "CPU here", "against bare.sh"), tuple(rows)),),
        goals=(Goal("first bootstrap: wall against the bare script", ratio, "<=", 1.2),),
        notes=(
            "One lab host, Debian 13 with a simulated card, reset to blank before each round. "
            "Debian's packages come from its archive; Docker's and NVIDIA's are the lab's "
            "stand-ins on this machine. The script (bench/bare.sh) reads nothing before a change "
            "and verifies nothing at the end. The goal compares with the script that calls apt-get "
            "as often as gpuhost does.",
            "The difference: gpuhost loads its modules, reads the host six times, starts CUDA on "
            "the host and in a container, confirms the firewall's change by a new login, and "
            "verifies everything at the end.",
        ),
    )


def _provisioned() -> Sample:
    return timed([bin("pyinfra"), *lab.DEPLOY], cwd=ROOT, env=lab.ENVIRONMENT)


def _scripted(host: LabHost, order: str) -> Sample:
    base = lab.lab().save().repository.base
    words = [f"{base}/docker-ce", f"{base}/libnvidia-container", order]
    # The key exchange that pyinfra uses: it is not part of the comparison.
    ssh = ["ssh", f"-oKexAlgorithms={SAME_EXCHANGE}", *lab.login(host).line().split()]
    return timed([*ssh, "sh", "-s", "--", *words], stdin=BARE)
