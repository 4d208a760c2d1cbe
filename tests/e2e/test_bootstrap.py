"""A blank host is provisioned, on both releases, as the plan says; a second run changes nothing."""

from __future__ import annotations

import json

import pytest

from tests.e2e.commands import check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab

# sshd logs these at VERBOSE: a line for each login, and one for each command.
LOGIN, COMMAND = "Accepted publickey", "Starting session: command"


def test_a_dry_run_plans_exactly_what_the_run_changes(hosts: Hosts) -> None:
    blank = hosts(*(HostSpec(f"blank-{release}", release, card="p40") for release in RELEASES))
    before = [_files_changed_since_boot(host) for host in blank]
    planned = deploy(*blank, dry=True)
    assert planned.status == 0
    assert [_files_changed_since_boot(host) for host in blank] == before, (
        "a dry run changes nothing"
    )
    run = deploy(*blank)
    assert run.status == 0, run.stderr
    assert run.changed == planned.planned
    for host in blank:
        assert check(host).failing == set()


def _files_changed_since_boot(host: LabHost) -> str:
    return host.run("find /etc /usr /var/lib /opt -xdev -newer /proc/1 -type f | sort").stdout


def test_a_second_run_changes_nothing(ready_hosts: dict[str, LabHost]) -> None:
    run = deploy(*ready_hosts.values())
    assert (run.status, run.changed, run.failed) == (0, {}, {})
    assert deploy(*ready_hosts.values(), dry=True).planned == {}


def test_a_second_run_uses_one_connection_and_two_commands(ready_trixie: LabHost) -> None:
    ready_trixie.run("echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/verbose.conf")
    ready_trixie.run("systemctl reload ssh")
    try:
        # It records the new file of sshd.
        assert set(deploy(ready_trixie).changed) == {"Record"}
        since = ready_trixie.run("date +%s.%N").stdout.strip()
        assert deploy(ready_trixie).changed == {}
        log = ready_trixie.run(
            f"journalctl -q -o cat -t sshd -t sshd-session --since @{since}"
        ).stdout
        assert log.count(LOGIN) == 1
        assert 1 <= log.count(COMMAND) <= 2
        since = ready_trixie.run("date +%s.%N").stdout.strip()
        assert check(ready_trixie).exit == 0
        log = ready_trixie.run(
            f"journalctl -q -o cat -t sshd -t sshd-session --since @{since}"
        ).stdout
        assert (log.count(LOGIN), log.count(COMMAND)) == (1, 1)
    finally:
        ready_trixie.run("rm /etc/ssh/sshd_config.d/verbose.conf && systemctl reload ssh")


def test_sudo_gives_the_same_result(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("by-sudo", "trixie"))
    run = deploy(host, ssh_user="ops")
    assert run.status == 0, run.stderr
    assert deploy(host, ssh_user="ops").changed == {}
    again = deploy(host)
    assert (again.status, again.changed) == (0, {}), "root finds nothing to do after ops"


def test_without_root_or_sudo_nothing_changes(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("by-sudo", "trixie"))
    run = deploy(host, ssh_user="locked")
    assert run.status == 1
    assert run.changed == {}
    assert "system.privileges" in run.stderr
    assert "NOPASSWD" in run.stderr


def test_an_unknown_setting_fails_each_host_unchanged(
    ready_hosts: dict[str, LabHost], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = deploy(*ready_hosts.values(), swap_sizegb=4)
    assert run.status == 1
    assert run.changed == {}
    assert run.stderr.count("unknown setting swap_sizegb (--data): did you mean swap_size_gb?") == 2
    assert "Traceback" not in run.stderr


def test_a_failed_verification_prints_its_findings(ready_trixie: LabHost) -> None:
    run = deploy(ready_trixie, memory_min_gb=4000)
    assert run.status == 1
    assert run.failed == {name: [ready_trixie.name] for name in ("Verification", "Result")}
    assert "failed: Verification" in run.stderr
    assert "memory.total" in run.stderr
    verdicts = check(ready_trixie, memory_min_gb=4000)
    assert (verdicts.exit, verdicts.host, verdicts.failing) == (2, "fail", {"memory.total"})
    assert json.dumps(verdicts.findings["memory.total"]["fix"])
