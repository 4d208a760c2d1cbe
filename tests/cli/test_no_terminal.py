"""Without a terminal no question is asked: pyinfra, and the verbs of gpuhost that run it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
DEPLOY = str(ROOT / "deploys" / "gpu_host.py")
GOOD, BAD = ADDRESSES[:2]
REFUSED = f"[{BAD}] settings: swap_size_gb = '16'"
UNREACHABLE = f"[{BAD}] Could not connect"
ENDS_WITH = (
    "nothing was changed: there is no terminal to confirm on; add -y to run without a question, "
    "or --dry to see only what would change"
)
SUDO = "echo 'sudo: a password is required'; exit 1"


def hosts(sshd: Sshd, **bad: Any) -> dict[str, dict[str, Any]]:
    """A host that can be provisioned, and one with an error."""
    good = sshd.login(sshd.recorded("no-terminal"))
    return {GOOD: good, BAD: {**good, **bad}}


def pyinfra(workplace: Workplace, hosts: dict[str, dict[str, Any]], *words: str) -> Run:
    return workplace.run(str(PYINFRA), str(workplace.inventory(hosts)), DEPLOY, *words, timeout=120)


def asked(run: Run) -> bool:
    return "Press enter" in run.err + run.out


@pytest.fixture(params=["with config.py", "without"])
def place(workplace: Workplace, request: pytest.FixtureRequest) -> Workplace:
    if request.param != "without":
        shutil.copy(ROOT / "config.py", workplace.path)
    return workplace


def test_a_refused_host_does_not_end_a_dry_run(place: Workplace, sshd: Sshd) -> None:
    run = pyinfra(place, hosts(sshd, swap_size_gb="16"), "--dry")
    assert run.exit == 1
    assert not asked(run)
    assert REFUSED in run.err
    assert f"1 ({GOOD})" in run.err


def test_a_run_ends_with_one_line(place: Workplace, sshd: Sshd) -> None:
    run = pyinfra(place, hosts(sshd, swap_size_gb="16"))
    assert run.exit == 1
    assert not asked(run)
    assert REFUSED in run.err
    assert run.err.splitlines()[-1] == f"--> pyinfra error: {ENDS_WITH}"
    assert "Beginning operation run" not in run.err


def test_an_operation_without_a_deploy(workplace: Workplace, sshd: Sshd) -> None:
    """It has no settings to load, and the directory no config.py; one host cannot be read."""
    good = hosts(sshd)[GOOD]
    inventory = str(workplace.inventory({GOOD: good, BAD: sshd.login("exec yes")}))
    words = [str(PYINFRA), inventory, "gpuhost.operations.swap.file"]
    dry, run = (workplace.run(*words, *more, timeout=120) for more in (["--dry"], []))
    assert (dry.exit, run.exit) == (1, 1)
    for one in (dry, run):
        assert not asked(one)
        assert f"[{BAD}] Command socket/SSH error: TooMuchOutput" in one.err
        assert f"[{GOOD}] Connected" in one.err
    assert run.err.splitlines()[-1].endswith(ENDS_WITH)


def test_an_unreachable_host(workplace: Workplace, sshd: Sshd, closed_port: int) -> None:
    shutil.copy(ROOT / "config.py", workplace.path)
    inventory = hosts(sshd, ssh_port=closed_port)
    dry, run = pyinfra(workplace, inventory, "--dry"), pyinfra(workplace, inventory)
    assert (dry.exit, run.exit) == (1, 1)
    for one in (dry, run):
        assert not asked(one)
        assert UNREACHABLE in one.err
        assert f"1 ({GOOD})" in one.err
    assert run.err.splitlines()[-1].endswith(ENDS_WITH)


def test_an_unreachable_host_of_a_verb(workplace: Workplace, sshd: Sshd, closed_port: int) -> None:
    """A verb needs no config.py."""
    workplace.inventory(hosts(sshd, ssh_port=closed_port))
    run = workplace.gpuhost("provision", "inventory.py", "--dry", timeout=120)
    assert run.exit == 1
    assert not asked(run)
    assert UNREACHABLE in run.err
    assert f"1 ({GOOD})" in run.err


def test_an_unknown_host_key(workplace: Workplace, sshd: Sshd, tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.py", workplace.path)
    (tmp_path / "none").touch()
    unknown = {"ssh_known_hosts_file": str(tmp_path / "none")}
    run = pyinfra(workplace, hosts(sshd, **unknown, ssh_strict_host_key_checking="ask"), "--dry")
    assert run.exit == 1
    assert f"No host key for [{BAD}]:{sshd.port} found in known_hosts" in run.err
    assert "do you want to continue" not in run.out
    assert f"1 ({GOOD})" in run.err


def test_a_sudo_password(place: Workplace, sshd: Sshd) -> None:
    run = pyinfra(place, {**hosts(sshd), BAD: sshd.login(SUDO)}, "--dry")
    assert run.exit == 1
    said = "OSError('sudo password: there is no terminal to ask on; set it in the inventory',)"
    assert f"[{BAD}] Command socket/SSH error: {said}" in run.err
    assert f"1 ({GOOD})" in run.err


def test_a_keys_password(workplace: Workplace, sshd: Sshd, tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.py", workplace.path)
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "locked", "-f", key], check=True)
    run = pyinfra(workplace, hosts(sshd, ssh_key=str(key)), "--dry")
    assert run.exit == 1
    assert f"Enter password for private key: {key}: there is no terminal to ask on" in run.err
    assert f"1 ({GOOD})" in run.err


def test_a_closed_stdin(place: Workplace, sshd: Sshd) -> None:
    inventory = place.inventory({GOOD: hosts(sshd)[GOOD]})
    run = place.run("sh", "-c", f"{PYINFRA} {inventory} {DEPLOY} <&-", timeout=120)
    assert run.exit == 1
    assert run.err.splitlines()[-1].endswith(ENDS_WITH)


def test_with_yes_a_run_continues(workplace: Workplace, sshd: Sshd) -> None:
    """The host with the invalid setting is skipped, and the other one is provisioned."""
    run = pyinfra(workplace, hosts(sshd, swap_size_gb="16"), "-y")
    assert run.exit == 1
    assert "Beginning operation run" in run.err


def test_on_a_terminal_pyinfra_asks_for_confirmation(workplace: Workplace, sshd: Sshd) -> None:
    shutil.copy(ROOT / "config.py", workplace.path)
    inventory = workplace.inventory({GOOD: hosts(sshd)[GOOD]})
    for command in (
        [str(PYINFRA), inventory.name, DEPLOY],
        [str(GPUHOST), "provision", inventory.name],
    ):
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=workplace.path,
            env=workplace.environment(),
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.write(controller, b"no\n")
        said, _ = process.communicate(timeout=120)
        os.close(controller), os.close(terminal)
        assert "Press enter to execute..." in said
        assert "Unexpected user input: no" in said
        assert process.returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        "provision",
        "deploy {} z-pulse",
        "rollback {} tts",
        "restore {} tts backup",
        "remove {} swap",
    ],
)
def test_verbs_end_with_one_line(workplace: Workplace, sshd: Sshd, words: str) -> None:
    inventory = str(workplace.inventory(hosts(sshd)))
    command = words.format(inventory) if "{}" in words else f"{words} {inventory}"
    run = workplace.gpuhost(*command.split())
    assert run.exit == 1
    assert run.err == (
        "Error: there is no terminal to confirm on: add -y to run without a question, "
        "or --dry to see only what would change\n"
    )
    assert run.out == ""
