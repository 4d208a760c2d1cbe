"""An unconfirmed change of the firewall is always reverted."""

from __future__ import annotations

import pytest

from tests.e2e.commands import deploy, start
from tests.e2e.firewalled import (
    ALONE,
    ENGINE,
    PENDING,
    SETTINGS,
    STEP,
    failing,
    firewall,
    provision,
    remove,
    state,
    wait_until,
)
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def open_host(hosts: Hosts) -> LabHost:
    """A host with an engine, and with ufw installed but disabled."""
    (booted,) = hosts(HostSpec("firewall-open", "trixie"))
    run = deploy(booted, deploy=ALONE, firewall_enabled=False, **ENGINE)
    assert run.status == 0, run.stderr
    booted.run("apt-get -q update && apt-get -q -y install ufw", timeout=300)
    booted.run("ufw limit 9999/tcp")
    return booted


def test_a_failed_new_login_reverts_the_change_at_once(open_host: LabHost) -> None:
    # A second connection is refused; the first one, of the run itself, stays open.
    second = "-m conntrack --ctstate NEW -m connlimit --connlimit-above 1"
    refuse = "-j REJECT --reject-with tcp-reset"
    open_host.run(f"iptables -I INPUT -p tcp --dport 22 {second} {refuse}")
    before = state(open_host)
    run = provision(open_host, adopt=True, firewall_confirm_s=600)
    assert run.status == 1
    assert run.failed.keys() == {STEP}
    assert "a new login failed, the firewall change is reverted" in run.stderr
    assert state(open_host) == before
    open_host.run("iptables -D INPUT 1")
    assert firewall(open_host, adopt=True)["firewall.confirmed"] == "warn"


def test_a_change_is_reverted_if_the_controller_dies(open_host: LabHost) -> None:
    before = state(open_host)
    _change_without_confirming(open_host, seconds=60)
    wait_until(lambda: _is_changing(open_host), "the change is made")
    timers = open_host.run("systemctl list-timers 'gpuhost-firewall-revert-*'").stdout
    assert timers.count("gpuhost-firewall-revert-") == 2, "one timer, and what it activates"
    assert open_host.run("ufw status").stdout.startswith("Status: active")
    assert "firewall.confirmed" in failing(open_host, adopt=True)
    wait_until(lambda: not _is_pending(open_host), "the host undoes the change", seconds=150)
    assert state(open_host) == before
    assert open_host.ssh("id -un").stdout == "root\n"


def test_a_reboot_during_a_change_reverts_it(open_host: LabHost) -> None:
    open_host.reboot()
    before = state(open_host)
    _change_without_confirming(open_host, seconds=3600)
    wait_until(lambda: _is_changing(open_host), "the change is made")
    open_host.reboot()
    assert not _is_pending(open_host)
    assert state(open_host) == before


def test_the_next_run_continues_from_an_unconfirmed_change(open_host: LabHost) -> None:
    before = state(open_host)
    _change_without_confirming(open_host, seconds=3600)
    run = provision(open_host, adopt=True)
    assert run.status == 0, run.stderr
    assert failing(open_host) == {}
    assert not _is_pending(open_host)
    assert remove(open_host).status == 0
    assert state(open_host) == before


def _change_without_confirming(host: LabHost, seconds: int) -> None:
    """Kill the controller as soon as the revert timer runs, long before its new login."""
    process = start(ALONE, host, **SETTINGS, adopt=True, firewall_confirm_s=seconds)
    try:
        host.run(f"timeout 100 sh -c 'until [ -d {PENDING} ]; do sleep 0.05; done'")
    finally:
        process.kill()
        process.communicate()


def _is_pending(host: LabHost) -> bool:
    return host.run(f"[ -d {PENDING} ]", check=False).status == 0


def _is_changing(host: LabHost) -> bool:
    """Whether the guard is still changing rules: it holds its lock meanwhile."""
    return host.run("flock -n /run/gpuhost-firewall.lock true", check=False).status == 0
