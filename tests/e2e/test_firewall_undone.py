"""An unconfirmed change of the firewall is always reverted."""

from __future__ import annotations

import pytest

from gpuhost.plans.firewall_files import GUARD
from tests.e2e.commands import deploy
from tests.e2e.firewalled import (
    ALONE,
    ENGINE,
    LOCK,
    PENDING,
    STEP,
    change_without_confirming,
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
    change_without_confirming(open_host, seconds=60)
    timers = open_host.run("systemctl list-timers 'gpuhost-firewall-revert-*'").stdout
    assert timers.count("gpuhost-firewall-revert-") == 2, "one timer, and what it activates"
    assert open_host.run("ufw status").stdout.startswith("Status: active")
    assert "firewall.confirmed" in failing(open_host, adopt=True)
    wait_until(lambda: not _is_pending(open_host), "the host undoes the change", seconds=150)
    assert state(open_host) == before
    assert open_host.ssh("id -un").stdout == "root\n"


def test_nobody_else_keeps_a_change_from_being_reverted(open_host: LabHost) -> None:
    """A file that everybody could open was the lock of earlier versions; ufw's own is another."""
    old = "/run/gpuhost-firewall.lock"
    open_host.run(f"touch {old} && chmod 644 {old}")
    hold = "setpriv --reuid=65534 --clear-groups flock"
    open_host.run(f"systemd-run --unit=holder {hold} {old} sleep 600")
    before = state(open_host)
    change_without_confirming(open_host, seconds=3600)
    for lock in (LOCK, "/run/ufw.lock"):
        barred = open_host.run(f"{hold} -n {lock} true", check=False)
        assert "Permission denied" in barred.stderr
    open_host.run(f"{GUARD} revert", timeout=60)
    assert state(open_host) == before
    open_host.run("systemctl stop holder")


def test_a_reboot_during_a_change_reverts_it(open_host: LabHost) -> None:
    open_host.reboot()
    before = state(open_host)
    change_without_confirming(open_host, seconds=3600)
    open_host.reboot()
    assert not _is_pending(open_host)
    assert state(open_host) == before


def test_the_next_run_continues_from_an_unconfirmed_change(open_host: LabHost) -> None:
    before = state(open_host)
    change_without_confirming(open_host, seconds=3600)
    run = provision(open_host, adopt=True)
    assert run.status == 0, run.stderr
    assert failing(open_host) == {}
    assert not _is_pending(open_host)
    assert remove(open_host).status == 0
    assert state(open_host) == before


def _is_pending(host: LabHost) -> bool:
    return host.run(f"[ -d {PENDING} ]", check=False).status == 0
