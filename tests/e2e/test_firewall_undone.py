"""A change of the firewall that nobody confirms is undone, whatever happened."""

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
    removed,
    state,
    until,
)
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import Wanted

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def open_host(hosts: Hosts) -> LabHost:
    """A host with an engine and ufw, which is off."""
    (found,) = hosts(Wanted("firewall-open", "trixie"))
    run = deploy(found, deploy=ALONE, firewall_enabled=False, **ENGINE)
    assert run.status == 0, run.stderr
    found.run("apt-get -q update && apt-get -q -y install ufw", timeout=300)
    found.run("ufw limit 9999/tcp")
    return found


def test_a_failing_fresh_login_undoes_the_change_at_once(open_host: LabHost) -> None:
    # A second connection is refused while the first one, which the run came by, goes on.
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


def test_a_dead_controller_confirms_nothing_and_the_change_is_undone(open_host: LabHost) -> None:
    before = state(open_host)
    _change_without_confirming(open_host, seconds=60)
    until(lambda: _made(open_host), "the change is made")
    timers = open_host.run("systemctl list-timers 'gpuhost-firewall-revert-*'").stdout
    assert timers.count("gpuhost-firewall-revert-") == 2, "one timer, and what it activates"
    assert open_host.run("ufw status").stdout.startswith("Status: active")
    assert "firewall.confirmed" in failing(open_host, adopt=True)
    until(lambda: not _is_pending(open_host), "the host undoes the change", seconds=150)
    assert state(open_host) == before
    assert open_host.ssh("id -un").stdout == "root\n"


def test_a_restart_in_the_middle_of_a_change_undoes_it(open_host: LabHost) -> None:
    open_host.reboot()
    before = state(open_host)
    _change_without_confirming(open_host, seconds=3600)
    until(lambda: _made(open_host), "the change is made")
    open_host.reboot()
    assert not _is_pending(open_host)
    assert state(open_host) == before


def test_the_next_run_goes_on_from_an_unconfirmed_change(open_host: LabHost) -> None:
    before = state(open_host)
    _change_without_confirming(open_host, seconds=3600)
    run = provision(open_host, adopt=True)
    assert run.status == 0, run.stderr
    assert failing(open_host) == {}
    assert not _is_pending(open_host)
    assert removed(open_host).status == 0
    assert state(open_host) == before


def _change_without_confirming(host: LabHost, seconds: int) -> None:
    """The controller dies as soon as the undo is armed, long before it could log in afresh."""
    process = start(ALONE, host, **SETTINGS, adopt=True, firewall_confirm_s=seconds)
    try:
        host.run(f"timeout 100 sh -c 'until [ -d {PENDING} ]; do sleep 0.05; done'")
    finally:
        process.kill()
        process.communicate()


def _is_pending(host: LabHost) -> bool:
    return host.run(f"[ -d {PENDING} ]", check=False).status == 0


def _made(host: LabHost) -> bool:
    """The guard holds its lock while it is at work."""
    return host.run("flock -n /run/gpuhost-firewall.lock true", check=False).status == 0
