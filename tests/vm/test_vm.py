"""What needs a machine with its own kernel: cgroup v2, and a real reboot.

One machine is used for these tests in this order: it is provisioned, rebooted, and reset during a
change of its firewall.
"""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.domain.sizes import format_size
from gpuhost.plans.firewall_files import GUARD
from gpuhost.snapshot.firewall import REVERTED_FILE
from tests.e2e.commands import check, deploy, start
from tests.e2e.firewalled import ALONE, PENDING, STATE
from tests.lab.vm import VirtualMachine
from tests.vm.served import (
    ALLOWED,
    CLOSED,
    SERVE,
    assert_only_the_allowed_port_is_open,
    is_served,
    wait_until_served,
)

pytestmark = [pytest.mark.lab, pytest.mark.vm]

SETTINGS: dict[str, Any] = {
    "gpu": "none",
    "swap_size_gb": 0.25,
    "firewall_allow": [f"{ALLOWED}/tcp"],
}
MORE_ALLOWED = [f"{ALLOWED}/tcp", f"{CLOSED}/tcp"]
# Five minutes on an idle machine.
PROVISION_SECONDS = 2400
EAT = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
GUARD_LOCK = "/run/gpuhost-firewall.lock"
ARMED = f"timeout 250 sh -c 'until [ -d {PENDING} ]; do sleep 0.05; done'"
# The guard is stopped when one of the files is already written; [c] excludes this shell.
HALF_MADE = f"""
timeout 250 sh -c 'until grep -q {CLOSED} /etc/ufw/user.rules; do sleep 0.05; done'
pkill -STOP -f '{GUARD} [c]hange'
sync
! flock -n {GUARD_LOCK} true
"""


@pytest.fixture(scope="module")
def ready(machine: VirtualMachine) -> VirtualMachine:
    """The provisioned machine, with a container that publishes two ports."""
    process = start("deploys/gpu_host.py", machine.host, **SETTINGS)
    try:
        _, err = process.communicate(timeout=PROVISION_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    machine.run(SERVE)
    return machine


def test_it_is_a_virtual_machine_with_cgroup_v2(ready: VirtualMachine) -> None:
    assert ready.run("systemd-detect-virt || true").strip() == "qemu"
    assert ready.run("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"


def test_checks_under_cgroup_v2(ready: VirtualMachine) -> None:
    limits = "{{.CgroupVersion}} {{.CgroupDriver}} {{.MemoryLimit}} {{.SwapLimit}}"
    assert ready.run(f"docker info -f '{limits}'").strip() == "2 systemd true true"
    verdicts = check(ready.host, **SETTINGS)
    assert verdicts.failing == set()
    assert verdicts.findings["docker.swap_accounting"]["actual"] == "cgroup v2"
    assert verdicts.findings["docker.memory"]["actual"] == format_size(_ram(ready) + _swap(ready))
    assert verdicts.findings["memory.total"]["actual"] == format_size(_ram(ready))
    # The machine reaches no time server, and one of two published ports is closed.
    warned = {id for id, status in verdicts.status.items() if status == "warn"}
    assert warned == {"system.clock", "firewall.closed"}


def test_too_little_memory_is_found(ready: VirtualMachine) -> None:
    verdicts = check(ready.host, **SETTINGS, docker_min_memory_gb=64)
    assert verdicts.failing == {"docker.memory"}
    blamed = verdicts.findings["docker.memory"].get("evidence", "")
    assert "control group" not in blamed, "the whole machine is theirs"


def test_a_container_is_killed_at_its_memory_limit(ready: VirtualMachine) -> None:
    ready.host.ssh(f"docker run --name eater -m 32m web /bin/busybox sh -c '{EAT}'", check=False)
    shown = ready.run("docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater")
    ready.run("docker rm eater")
    assert shown == "true 137\n"
    assert ready.boot_id(), "the machine itself lives"


def test_only_the_allowed_port_is_reachable(ready: VirtualMachine) -> None:
    assert_only_the_allowed_port_is_open(ready)


@pytest.fixture(scope="module")
def rebooted(ready: VirtualMachine) -> VirtualMachine:
    """The machine after an orderly reboot."""
    ready.reboot()
    wait_until_served(ready)
    return ready


def test_swap_is_active_after_a_reboot(rebooted: VirtualMachine) -> None:
    (active,) = rebooted.run("swapon --show=NAME,SIZE --bytes --noheadings").splitlines()
    name, size = active.split()
    assert name == "/swapfile"
    assert abs(int(size) - 256 * 1024**2) <= 64 * 1024
    assert rebooted.run("systemctl is-active swapfile.swap") == "active\n", "fstab's own unit"
    assert rebooted.run("sysctl -n vm.swappiness") == "10\n"


def test_the_firewall_is_active_after_a_reboot(rebooted: VirtualMachine) -> None:
    assert rebooted.run("ufw status").startswith("Status: active")
    for tool in ("iptables", "ip6tables"):
        rules = rebooted.run(f"{tool} -S")
        assert "-P INPUT DROP" in rules
        assert "-A DOCKER-USER -j GPUHOST-PUBLISHED" in rules
    assert_only_the_allowed_port_is_open(rebooted)


def test_checks_pass_after_a_reboot_and_a_run_changes_nothing(rebooted: VirtualMachine) -> None:
    assert rebooted.run("systemctl --failed --plain --no-legend") == ""
    assert check(rebooted.host, **SETTINGS).failing == set()
    run = deploy(rebooted.host, **SETTINGS)
    assert (run.status, run.changed) == (0, {})


@pytest.mark.parametrize("made", [False, True], ids=["partly written", "complete, not confirmed"])
def test_a_reset_during_a_change_reverts_it(rebooted: VirtualMachine, made: bool) -> None:
    rebooted.run(f"rm -f {REVERTED_FILE}")
    before = rebooted.run(STATE)
    booted = rebooted.boot_id()
    _change_without_confirming(rebooted, ARMED if made else HALF_MADE)
    if made:
        rebooted.run(f"flock -w 250 {GUARD_LOCK} sync")
        assert is_served(rebooted, CLOSED), "the change was in force"
    assert rebooted.run(STATE) != before
    rebooted.reset()
    rebooted.wait(after=booted)
    wait_until_served(rebooted)
    assert rebooted.run(STATE) == before
    assert_only_the_allowed_port_is_open(rebooted)
    verdicts = check(rebooted.host, **SETTINGS)
    assert verdicts.failing == set()
    assert verdicts.status["firewall.confirmed"] == "warn", "it says that a change was undone"


def _change_without_confirming(machine: VirtualMachine, moment: str) -> None:
    """Kill the controller at a moment of its change, before its new login.

    + moment: a command that ends at that moment
    """
    declared = {**SETTINGS, "firewall_allow": MORE_ALLOWED, "firewall_confirm_s": 3600}
    process = start(ALONE, machine.host, **declared)
    try:
        machine.run(moment)
    finally:
        process.kill()
        process.communicate()


def _ram(machine: VirtualMachine) -> int:
    return _meminfo(machine, "MemTotal")


def _swap(machine: VirtualMachine) -> int:
    return _meminfo(machine, "SwapTotal")


def _meminfo(machine: VirtualMachine, name: str) -> int:
    """Bytes."""
    return int(machine.run(f"sed -n 's/^{name}: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) * 1024
