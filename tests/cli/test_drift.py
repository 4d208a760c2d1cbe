"""`gpuhost drift` over a real SSH server: the status of every kind of host."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from typing import Any

import pytest

from gpuhost.checks.registry import all_checks
from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.drifting import GOOD, MUCH, OTHER, applied, blank, drifting
from tests.cli.sshd import REAL, Sshd
from tests.cli.test_check_over_ssh import SUDO_WITH_PASSWORD, _terminal_output

pytestmark = pytest.mark.slow


def test_exit_status(workplace: Workplace, sshd: Sshd, closed_port: int) -> None:
    hosts = {
        "never": sshd.login(blank(sshd, "drift-never")),
        "drift": drifting(sshd, "drift-drift"),
        "closed": sshd.login(ssh_port=closed_port),
        "mistake": sshd.login(blank(sshd, "drift-mistake"), swap_size_gb="16"),
    }
    workplace.inventory({name: {"ssh_hostname": GOOD, **data} for name, data in hosts.items()})
    command = ["drift", "inventory.py", "--json"]
    limits = (["never"], ["never", "drift"], ["never", "drift", "closed"], list(hosts))
    runs = workplace.many(
        [*command, "--limit", "never", "--pending-fails"],
        *([*command, *(word for name in some for word in ("--limit", name))] for some in limits),
    )
    assert [run.exit for run in runs] == [2, 0, 2, 3, 1]
    assert [run.document["exit"] for run in runs] == [2, 0, 2, 3, 1]
    last = runs[-1]
    statuses = {host["host"]: host["status"] for host in last.document["hosts"]}
    assert statuses == {
        "never": "pending",
        "drift": "drift",
        "closed": "unreachable",
        "mistake": "error",
    }
    assert (last.host("never")["applied"], last.host("drift")["applied"]["by"]) == (
        None,
        "ada@desk",
    )


def test_the_cause_is_the_host_or_the_repository(workplace: Workplace, sshd: Sshd) -> None:
    def cause(**then: Any) -> str:
        login = sshd.login(blank(sshd, "drift-cause", applied(**then)), **MUCH)
        run = workplace.gpuhost("drift", str(workplace.inventory({GOOD: login})), "--json")
        found = {one["id"]: one for one in run.host(GOOD)["findings"]}
        assert set(found) >= {check.id for check in all_checks()}
        return str(found["memory.total"]["cause"])

    assert cause(memory_min_gb=900) == "drift"
    assert cause(memory_min_gb=0) == "pending"


NO_ROOM = "no directory to write in: /run, /dev/shm and /tmp are full or read-only"
# Each is a host of the same run: status, pattern of the reason.
BAD = {
    "closed": ("unreachable", r"^Could not connect \("),
    "silent": ("unreachable", r"^connecting: no answer within 9 s"),
    "hangs": ("error", r"^reading: no answer within 9 s"),
    "garbage": ("error", "^the host's reply is incomplete: string argument should contain only"),
    "no login": ("error", "its output: This account is currently not available.$"),
    "no /tmp": ("error", "^the reading failed: mktemp: "),
    "full": ("error", "^the reading failed: no directory to write in: /run, /dev/shm and /tmp"),
    "unknown key": ("unreachable", "^unknown host key: "),
    "changed key": ("unreachable", "^CHANGED host key: "),
    "sudo": ("error", "^sudo needs a password; set _sudo_password"),
    "df hangs": ("error", "^could not be read: .*disk.free"),
}


@pytest.fixture(scope="module")
def mixed(
    tmp_path_factory: pytest.TempPathFactory, sshd: Sshd, silent_port: int, closed_port: int
) -> Run:
    """Every kind of broken host in one fleet, between good ones."""
    place = Workplace(tmp_path_factory.mktemp("mixed"))
    sudo = place.path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO_WITH_PASSWORD)
    sudo.chmod(0o755)
    other = sshd.key("a key that is not the host's").with_suffix(".pub").read_text()
    (place.path / "changed").write_text(f"[{GOOD}]:{sshd.port} {other}")
    good = blank(sshd, "drift-among-bad-ones")

    def replies(command: str) -> dict[str, Any]:
        return sshd.login(f"cat >/dev/null; {command}")

    hosts = {
        "good": sshd.login(good),
        "closed": sshd.login(ssh_port=closed_port),
        "silent": sshd.login(ssh_port=silent_port),
        "hangs": sshd.login("exec sleep 600"),
        "garbage": replies("head -c 300000 /dev/urandom"),
        "no login": replies("echo 'This account is currently not available.'"),
        "no /tmp": replies("echo 'mktemp: failed to create directory' >&2; exit 1"),
        # The message of the collector on a lab host: tests/e2e/test_drift.py.
        "full": replies(f"echo '{NO_ROOM}' >&2; exit 70"),
        "unknown key": sshd.login(good, ssh_known_hosts_file=str(place.path / "unknown")),
        "changed key": sshd.login(good, ssh_known_hosts_file=str(place.path / "changed")),
        "sudo": sshd.login(f"PATH={sudo.parent}:$PATH; export PATH; {REAL}", _sudo=True),
        "df hangs": sshd.login(sshd.recorded("df-hangs", probes={"disks": {"rc": None}})),
        "drift": drifting(sshd, "drift-beside-bad-ones"),
        "good too": sshd.login(good),
        "slow": sshd.login(f"sleep 3; {good}"),
    }
    assert set(hosts) == {*BAD, "good", "drift", "good too", "slow"}
    place.inventory({name: {"ssh_hostname": GOOD, **data} for name, data in hosts.items()})
    began = time.monotonic()
    run = place.gpuhost("drift", "inventory.py", "--json", "--timeout", "9")
    assert time.monotonic() - began < 55
    assert not (place.path / "unknown").exists(), "a key was accepted"
    return run


@pytest.mark.parametrize("name", BAD)
def test_a_broken_host_has_its_own_row(mixed: Run, name: str) -> None:
    host = mixed.host(name)
    status, pattern = BAD[name]
    assert host["status"] == status
    assert re.search(pattern, host["reason"]), host["reason"]
    assert host["reason"].isprintable()


def test_broken_hosts_do_not_affect_others(mixed: Run) -> None:
    assert mixed.exit == 3
    assert mixed.err == ""
    assert mixed.host("good")["findings"] == mixed.host("good too")["findings"]
    assert mixed.host("good")["findings"] == mixed.host("slow")["findings"]
    assert mixed.host("good")["status"] == "pending"
    assert mixed.host("drift")["status"] == "drift"


def test_the_deadline_of_the_run(workplace: Workplace, sshd: Sshd) -> None:
    inventory = workplace.inventory(
        {GOOD: sshd.login(blank(sshd, "in-time")), OTHER: sshd.login("exec sleep 600")}
    )
    began = time.monotonic()
    run = workplace.gpuhost(
        "drift", str(inventory), "--json", "--deadline", "15", "--timeout", "100"
    )
    assert time.monotonic() - began < 55
    assert (run.exit, run.document["interrupted"]) == (3, False)
    assert run.host(GOOD)["findings"]
    assert run.host(OTHER)["reason"] == "the run's limit of 15 s was reached before it was done"


def test_ctrl_c_shows_the_results_and_saves_nothing(workplace: Workplace, sshd: Sshd) -> None:
    """Ctrl-C: the results so far are shown, and the run is not saved."""
    inventory = workplace.inventory(
        {
            GOOD: sshd.login(blank(sshd, "drift-interrupted")),
            OTHER: sshd.login("exec sleep 600"),
        }
    )
    outputs = ["--history", "runs", "--metrics", "gpuhost.prom", "--html", "drift.html"]
    # Progress on a terminal shows when the first host is done: then interrupt.
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [GPUHOST, "drift", inventory, "--json", "--timeout", "100", *outputs],
        cwd=workplace.path,
        env={**workplace.environment(), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=its,
        text=True,
    )
    os.close(its)
    said, deadline = b"", time.monotonic() + 60
    while b"1/2 hosts" not in said:
        assert time.monotonic() < deadline, said
        said += _terminal_output(ours, 0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 130
    found = json.loads(out)
    assert (found["exit"], found["interrupted"]) == (130, True)
    first, second = found["hosts"]
    assert first["findings"]
    assert second["reason"] == "interrupted before it was done"
    assert list((workplace.path / "runs").iterdir()) == []
    assert not (workplace.path / "gpuhost.prom").exists()
    assert "interrupted before it was done" in (workplace.path / "drift.html").read_text()
