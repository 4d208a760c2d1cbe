"""Ports that break the SSH protocol before any login: each costs its own row, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuhost.checks.registry import all_checks
from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.drifting import blank
from tests.cli.hostile_port import ADDRESS, attacks
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GOOD = [f"good{number}" for number in range(4)]
REASONS = {
    "endless line": "a line of more than 8192 bytes",
    "endless lines": "Indecipherable protocol version",
    "terminal": "Indecipherable protocol version",
    "version": "Incompatible version",
    "large packet": "a packet of more than 262144 bytes",
}


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    program = [sys.executable, "-m", "tests.cli.hostile_port"]
    server = subprocess.Popen(
        program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    yield json.loads(server.stdout.readline())
    server.communicate(timeout=10)


def bad_hosts(sshd: Sshd, ports: dict[str, int]) -> dict[str, dict[str, Any]]:
    return {
        name: sshd.login("true", ssh_hostname=ADDRESS, ssh_port=port)
        for name, port in ports.items()
    }


@pytest.fixture(scope="module")
def checked(sshd: Sshd, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = Workplace(tmp_path_factory.mktemp("ports"))
    good = {
        # They are still logged in while the others attack.
        name: sshd.login(f"sleep 2; {blank(sshd, f'ports-{name}')}", ssh_hostname=ADDRESSES[0])
        for name in GOOD
    }
    place.inventory({GOOD[0]: good[GOOD[0]], **bad_hosts(sshd, ports), **good})
    return place.gpuhost("check", "inventory.py", "--json", "--timeout", "40", timeout=150)


@pytest.mark.parametrize("name", attacks())
def test_a_hostile_port_is_unreachable(checked: Run, name: str) -> None:
    host = checked.host(name)
    assert host["status"] == "unreachable"
    assert re.search(REASONS.get(name, "SSH error"), host["reason"]), host["reason"]
    assert host["reason"].isprintable()


def test_good_hosts_are_read(checked: Run) -> None:
    for name in GOOD:
        assert len(checked.host(name).get("findings", [])) >= len(all_checks()), checked.host(name)


COMMANDS = {
    "gpuhost": [str(GPUHOST), "provision", "inventory.py", "--dry"],
    "pyinfra": [str(GPUHOST.with_name("pyinfra")), "inventory.py", "deploys/gpu_host.py", "--dry"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_deploy_goes_on_and_shows_no_raw_text(
    workplace: Workplace, sshd: Sshd, ports: dict[str, int], command: str
) -> None:
    shutil.copy(ROOT / "config.py", workplace.path)
    shutil.copytree(ROOT / "deploys", workplace.path / "deploys")
    good = sshd.login(blank(sshd, "ports-deploy"), ssh_hostname=ADDRESSES[0])
    workplace.inventory({**bad_hosts(sshd, ports), "good": good})
    # It also fails on a traceback.
    run = workplace.run(*COMMANDS[command], timeout=150)
    assert run.exit == 1
    # pyinfra's own colours are the only control characters.
    text = re.sub(r"\x1b\[[0-9]*m", "", run.out + run.err)
    assert all(c.isprintable() or c == "\n" for c in text)
    for name in attacks():
        assert re.search(rf"\[{name}\] +SSH error", text), (name, text)
    assert re.search(r"\[good\] +Connected", text)
