"""A host whose sshd stops answering in the middle of a run: the rest of the fleet goes on."""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import Workplace
from tests.cli.drifting import blank
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

HOSTS, FROZEN = 20, "host-07"
# Reading 20 hosts takes a second or two where nothing else runs.
LIMIT = "25"


def _freeze(pids: Path) -> str:
    """The command of a login that stops its own sshd after half of a reply: no packet, no end of
    the connection, as when a network is lost or a machine hangs.
    """
    file = shlex.quote(str(pids))
    return f"read line; echo H4sIAAAA; echo $PPID >>{file}; kill -STOP $PPID; exec sleep 600"


@pytest.mark.parametrize("command", ["check", "drift", "status"])
def test_the_others_are_read_and_the_frozen_one_is_named(
    workplace: Workplace, sshd: Sshd, tmp_path: Path, command: str
) -> None:
    pids = tmp_path / "pids"
    good = {"check": sshd.recorded("frozen-check")}.get(command) or blank(sshd, f"frozen-{command}")
    names = [f"host-{number:02}" for number in range(HOSTS)]
    workplace.inventory(
        {
            name: {
                "ssh_hostname": ADDRESSES[number % len(ADDRESSES)],
                **sshd.login(_freeze(pids) if name == FROZEN else good),
            }
            for number, name in enumerate(names)
        }
    )
    try:
        run = workplace.gpuhost(command, "inventory.py", "--json", "--timeout", LIMIT, timeout=120)
    finally:
        for pid in pids.read_text().split() if pids.exists() else ():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    assert pids.exists(), "it was not reached"
    reasons = {host["host"]: host.get("reason") for host in run.document["hosts"]}
    errors = {name: reason for name, reason in reasons.items() if reason}
    assert [host["host"] for host in run.document["hosts"]] == names
    assert set(errors) == {FROZEN}
    assert f"{LIMIT} s" in errors[FROZEN]
    assert run.exit != 0
