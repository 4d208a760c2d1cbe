"""The controller is killed during a run, or the host no longer answers: SSH works afterwards, and
the next run completes the deploy.
"""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.e2e.commands import check, deploy, start
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab

pytestmark = pytest.mark.lab

# When a run is killed: seconds after the start of an operation.
POINTS = [
    ("Package manager", 0.0),
    ("NVIDIA persistence mode", 0.1),
    ("Container engine", 0.1),
    ("Container engine", 4.0),
    ("Container toolkit", 0.5),
    ("Engine configuration", 0.1),
    ("Engine configuration", 0.8),
    ("GPU in a container", 0.3),
    ("Security updates", 1.0),
    ("Firewall", 0.1),
    ("Firewall", 1.0),
    ("Verification", 0.0),
]
# Each case takes a blank host and three runs: `make test` has the riskiest, the matrix the rest.
IN_EVERY_RUN = {
    ("Engine configuration", 0.1),
    ("Firewall", 1.0),
}
SETTINGS = {"firewall_confirm_s": 30}


@pytest.mark.parametrize(
    ("number", "operation", "seconds"),
    [
        pytest.param(
            number,
            *point,
            id=f"{point[0]} +{point[1]}s",
            marks=() if point in IN_EVERY_RUN else pytest.mark.matrix,
        )
        for number, point in enumerate(POINTS)
    ],
)
def test_the_next_run_converges(lab: Lab, number: int, operation: str, seconds: float) -> None:
    release = RELEASES[number % len(RELEASES)]
    (host,) = lab.boot(HostSpec(f"killed-{release}", release, card="p40"))
    _run_until(host, operation, seconds)
    assert host.ssh("id -un").stdout == "root\n", "SSH is never lost"
    run = deploy(host, **SETTINGS)
    assert run.status == 0, run.stderr
    assert check(host, **SETTINGS).failing == set()
    assert deploy(host, **SETTINGS).changed == {}
    assert host.ssh("id -un").stdout == "root\n"


# A connection is closed after a minute without an answer; the rest is for a slow machine.
ENDED_SECONDS = 240
SSHD = "$(pgrep '^sshd')"


@pytest.mark.matrix
def test_a_host_that_no_longer_answers_ends_the_run_with_words(lab: Lab) -> None:
    """sshd and its sessions are stopped in the middle of a command."""
    (host,) = lab.boot(HostSpec("frozen-trixie", "trixie"))
    process = start("deploys/gpu_host.py", host, **SETTINGS)
    try:
        _read_until(process, "Starting operation: Container engine")
        host.run(f"kill -STOP {SSHD}")
        _, err = process.communicate(timeout=ENDED_SECONDS)
    finally:
        process.kill()
        process.communicate()
        host.run(f"kill -CONT {SSHD}")
    assert process.returncode == 1
    assert "Traceback" not in err
    assert f"[{host.name}]" in err
    assert "the host did not answer for 45 s: the connection is closed" in err
    assert "the host cannot be read any more: run the deploy again when it can" in err
    assert "internal error" not in err
    run = deploy(host, **SETTINGS)
    assert run.status == 0, run.stderr
    assert check(host, **SETTINGS).failing == set()
    assert deploy(host, **SETTINGS).changed == {}


def _run_until(host: LabHost, operation: str, seconds: float) -> None:
    process = start("deploys/gpu_host.py", host, **SETTINGS)
    try:
        _read_until(process, f"Starting operation: {operation}")
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()


def _read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} never came:\n{''.join(lines)}")
