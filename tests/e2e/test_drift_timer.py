"""The nightly drift check on real hosts: installed, run by systemd, changed by hand, removed.

The unit runs a stand-in for gpuhost, which records its arguments. The drift check itself is tested
in tests/drift, and over SSH in tests/cli.
"""

from __future__ import annotations

import pytest

from gpuhost.plans.drift import HOME, KEY, SECRETS, SERVICE, TIMER, UNITS
from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

CHECKOUT = "/srv/gpuhost"
SETTINGS = {
    "drift_directory": CHECKOUT,
    "drift_html": "/srv/www/drift.html",
    "drift_metrics": f"{HOME}/metrics/gpuhost.prom",
}
STAND_IN = b"""#!/bin/sh
id -un
pwd
printf '%s\\n' "$*" "$GPUHOST_NOTIFY" >/var/lib/gpuhost-drift/history/called || exit 70
touch /srv/www/drift.html /var/lib/gpuhost-drift/metrics/gpuhost.prom || exit 71
if touch /usr/drift /srv/gpuhost/drift 2>/dev/null; then exit 72; fi
exit "$(cat /srv/gpuhost/exit)"
"""
NOTIFY = "json://127.0.0.1:9/s3cret"
OK = {
    **dict.fromkeys(
        ("drift.account", "drift.checkout", "drift.command", "drift.reports", "drift.timer"), "ok"
    ),
    "drift.key": "skip",
}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> LabHost:
    """A host of each release with a checkout; its drift check succeeds."""
    (booted,) = hosts(HostSpec(f"drift-{request.param}", request.param))
    booted.put(f"{CHECKOUT}/.venv/bin/gpuhost", STAND_IN, mode=0o755)
    booted.put(f"{CHECKOUT}/inventory.py", b"gpu = []\n")
    booted.put(f"{CHECKOUT}/exit", b"0\n")
    monkeypatch.setenv("GPUHOST_NOTIFY", NOTIFY)
    return booted


def install(host: LabHost) -> Run:
    return deploy(host, deploy="deploys/drift_timer.py", **SETTINGS)


def verdicts(host: LabHost) -> dict[str, str]:
    status = check(host, **SETTINGS).status
    return {id: value for id, value in status.items() if id.startswith("drift.")}


def run_nightly(host: LabHost, exit: int) -> str:
    """The result of the unit, if the drift check ends with this exit status."""
    host.put(f"{CHECKOUT}/exit", f"{exit}\n".encode())
    host.run(f"systemctl reset-failed; systemctl start {SERVICE}", check=False)
    return host.run(f"systemctl show -p Result --value {SERVICE}").stdout.strip()


def test_installation_and_one_run(host: LabHost) -> None:
    run = install(host)
    assert run.status == 0, run.stderr
    public = host.run(f"cat {KEY}.pub").stdout.strip()
    assert public.endswith(f"gpuhost-drift@{host.name}")
    assert f'restrict,command="/usr/local/lib/gpuhost/read" {public}' in run.stderr
    assert NOTIFY not in run.stderr
    assert verdicts(host) == OK
    assert host.run(f"stat -c '%a %U' {KEY} {SECRETS}").stdout == "600 gpuhost-drift\n600 root\n"
    again = install(host)
    assert (again.status, again.changed) == (0, {})
    assert run_nightly(host, 0) == "success"
    arguments = host.run(f"cat {HOME}/history/called").stdout.splitlines()
    assert arguments[0].startswith("drift inventory.py --history /var/lib/gpuhost-drift/history")
    assert arguments[1] == NOTIFY
    journal = host.run(f"journalctl -o cat -u {SERVICE}").stdout
    assert f"gpuhost-drift\n{CHECKOUT}\n" in journal


def test_findings_do_not_fail_the_unit_and_its_own_failure_is_reported(host: LabHost) -> None:
    install(host)
    assert [run_nightly(host, exit) for exit in (2, 3)] == ["success", "success"]
    assert run_nightly(host, 1) == "exit-code"
    journal = host.run("sleep 2; journalctl -o cat -p err -u gpuhost-drift-failed.service").stdout
    assert "the nightly drift check on " in journal
    assert NOTIFY not in journal


TAMPERS = {
    "drift.command": f"rm {CHECKOUT}/inventory.py",
    "drift.account": f"chmod 644 {KEY}",
    "drift.reports": "rm -r /srv/www",
    "drift.timer": f"systemctl disable --now {TIMER}",
}


def test_a_checkout_that_others_can_change_is_not_run(host: LabHost) -> None:
    """Whoever can change it has the key of the fleet."""
    host.run(f"rm -f {KEY}; useradd ada && chown ada {CHECKOUT}/.venv/bin/gpuhost")
    refused = install(host)
    assert refused.status == 1
    assert f"{CHECKOUT}/.venv/bin/gpuhost (ada 755)" in refused.stderr
    assert host.run(f"test -e {KEY}", check=False).status == 1
    host.run(f"chown root {CHECKOUT}/.venv/bin/gpuhost")
    assert install(host).status == 0
    python = f"{CHECKOUT}/.venv/bin/python3"
    host.run("install -d -o ada /srv/ada && ln -s /usr/bin/python3 /srv/ada/python3")
    host.run(f"ln -s /srv/ada/python3 {python}")
    assert verdicts(host) == {**OK, "drift.checkout": "fail"}
    host.run(f"ln -sfn /usr/bin/python3 {python}")
    assert verdicts(host) == OK
    host.run(f"rm {python}; chmod o+w {CHECKOUT}/inventory.py")
    assert verdicts(host) == {**OK, "drift.checkout": "fail"}


@pytest.mark.parametrize("id", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, id: str) -> None:
    install(host)
    host.run(TAMPERS[id])
    assert verdicts(host) == {**OK, id: "fail"}
    host.put(f"{CHECKOUT}/inventory.py", b"gpu = []\n")
    assert install(host).status == 0
    assert verdicts(host) == OK


def test_removal_keeps_the_account(host: LabHost) -> None:
    install(host)
    run = deploy(host, deploy="deploys/remove.py", remove="drift", **SETTINGS)
    assert run.status == 0, run.stderr
    left = host.run(f"ls {' '.join(UNITS)} {SECRETS} {KEY} 2>/dev/null", check=False).stdout
    assert left == f"{KEY}\n"
    assert host.run(f"systemctl is-enabled {TIMER}", check=False).status != 0
