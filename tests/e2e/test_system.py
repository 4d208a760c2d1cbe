"""The host itself: changes by hand are found and repaired; a busy apt; a proxy; sudo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any

import pytest

from gpuhost.plans.proxy import APT_FILE, CLIENT_FILE, ENGINE_DROPIN, ENGINE_FILE
from gpuhost.plans.request import request_for
from gpuhost.plans.system import UPDATES_FILE
from gpuhost.settings import Settings
from gpuhost.snapshot.collector import script
from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab

PASSWORD = "s3cret-0f-the-proxy"
# A listener in the host itself: no other proxy is used for 127.0.0.1.
PROXY = f"http://gpu:{PASSWORD}@127.0.0.1:3128"
PROXY_SETTINGS: dict[str, Any] = {
    "proxy_http": PROXY,
    "proxy_https": PROXY,
    "proxy_no": ["localhost", ".lab"],
}
LOCK = "/var/lib/dpkg/lock-frontend"


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy="tests/e2e/system_alone.py", **settings)


@pytest.fixture(scope="module")
def provisioned(hosts: Hosts) -> dict[str, LabHost]:
    """A provisioned host of each release. A test that changes one repairs it."""
    booted = hosts(*(HostSpec(f"system-{release}", release) for release in RELEASES))
    run = deploy(*booted, deploy="tests/e2e/system_alone.py")
    assert run.status == 0, run.stderr
    assert run.changed == {"Security updates": sorted(host.name for host in booted)}
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, provisioned: dict[str, LabHost]) -> LabHost:
    return provisioned[request.param]


@pytest.fixture
def trixie(provisioned: dict[str, LabHost]) -> LabHost:
    """A host for tests that do not depend on the release."""
    return provisioned["trixie"]


@pytest.mark.every_release
def test_a_second_run_changes_nothing(host: LabHost) -> None:
    run = provision(host)
    assert (run.status, run.changed) == (0, {})


HALF_INSTALLED = """
set -e
mkdir -p /tmp/half/DEBIAN
printf '%s\\n' 'Package: gpuhost-half' 'Version: 1' 'Architecture: all' 'Maintainer: lab' \\
    'Description: unpacked, not configured' >/tmp/half/DEBIAN/control
dpkg-deb -b /tmp/half /tmp/half.deb
dpkg --unpack /tmp/half.deb
"""
TAMPERS = {
    "system.hostname": ("sed -i /$(uname -n)/d /etc/hosts", "Host name"),
    "system.dpkg": (HALF_INSTALLED, "Package manager"),
    "system.updates": (f"rm {UPDATES_FILE}", "Security updates"),
}


@pytest.mark.parametrize("id", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, id: str) -> None:
    tamper, step = TAMPERS[id]
    before = check(host).failing
    assert id not in before
    host.run(tamper)
    assert check(host).failing == before | {id}
    run = provision(host)
    assert run.status == 0, run.stderr
    assert run.changed == {step: [host.name]}
    assert check(host).failing == before


def test_a_stopped_timer_is_found_and_started(trixie: LabHost) -> None:
    trixie.run(
        "systemctl disable --now apt-daily-upgrade.timer; systemctl mask --now apt-daily.timer"
    )
    actual = check(trixie).findings["system.updates"]["actual"]
    assert actual == "stopped: apt-daily.timer, apt-daily-upgrade.timer"
    assert provision(trixie).changed == {"Security updates": [trixie.name]}
    assert check(trixie).status["system.updates"] == "ok"
    enabled = trixie.run("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer").stdout
    assert enabled == "enabled\nenabled\n"


def test_other_lines_of_etc_hosts_are_kept_byte_for_byte(trixie: LabHost) -> None:
    own = trixie.run("cat /etc/hosts").stdout
    foreign = b"# caf\xe9\r\n10.0.0.9\tdb.example.com db\n192.0.2.1 without-newline"
    trixie.put("/etc/hosts", foreign)
    assert provision(trixie).changed == {"Host name": [trixie.name]}
    line = f"\n127.0.1.1 {trixie.name}\n".encode().hex()
    assert trixie.run("od -An -v -tx1 /etc/hosts | tr -d ' \\n'").stdout == foreign.hex() + line
    trixie.put("/etc/hosts", own.encode())


def test_unattended_upgrades_excludes_our_packages(host: LabHost) -> None:
    """The program itself prints the exclusions that it reads from apt's configuration."""
    output = host.run("unattended-upgrade --dry-run --debug 2>&1", timeout=300).stdout
    blacklist = next(line for line in output.splitlines() if "blacklist" in line)
    for pattern in ("nvidia-", "libnvidia-", "docker", "containerd", "runc"):
        assert pattern in blacklist


def test_a_required_reboot_is_a_warning(trixie: LabHost) -> None:
    trixie.run("echo linux-image-amd64 >/run/reboot-required.pkgs; : >/run/reboot-required")
    try:
        verdicts = check(trixie)
        assert verdicts.status["system.reboot"] == "warn"
        assert "linux-image-amd64" in verdicts.findings["system.reboot"]["evidence"]
    finally:
        trixie.run("rm /run/reboot-required /run/reboot-required.pkgs")
    assert check(trixie).status["system.reboot"] == "ok"


@contextmanager
def locked(host: LabHost, path: str) -> Iterator[str]:
    """A process holds a lock of the package manager, as apt does; yields its pid."""
    hold = (
        "import fcntl, os, time\n"
        f"lock = open({path!r}, 'w')\n"
        "fcntl.lockf(lock, fcntl.LOCK_EX)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    host.put("/root/hold.py", hold.encode())
    pid = host.run(
        "rm -f /root/held; nohup python3 /root/hold.py >/root/held 2>&1 & "
        "until [ -s /root/held ]; do sleep 0.1; done; cat /root/held"
    ).stdout.strip()
    try:
        yield pid
    finally:
        host.run(f"kill {pid}", check=False)


@pytest.mark.parametrize(
    ("release", "path"), [("bookworm", LOCK), ("trixie", "/var/lib/apt/lists/lock")]
)
def test_it_waits_for_a_busy_apt_and_names_the_process(
    provisioned: dict[str, LabHost], release: str, path: str
) -> None:
    host = provisioned[release]
    with locked(host, path) as pid:
        verdicts = check(host)
        assert verdicts.status["system.apt_idle"] == "warn"
        assert verdicts.findings["system.apt_idle"]["actual"] == f"python3 (pid {pid}) holds {path}"
        release_once_waited_for = (
            f"until pgrep -f '[s]h -s -- 300'; do sleep 0.2; done; sleep 7; kill {pid}"
        )
        host.run(f"nohup sh -c {quote(release_once_waited_for)} >/dev/null 2>&1 &")
        run = provision(host)
    assert run.status == 0, run.stderr
    assert run.changed == {"Package manager": [host.name]}
    message = f"waiting for python3 (pid {pid}), which holds {path}: "
    shown = [line.partition(message)[2] for line in run.stderr.splitlines() if message in line]
    waited = [int(words.removesuffix(" of 300 s")) for words in shown]
    assert waited == sorted(waited)
    assert waited[0] < 5 <= waited[-1], "progress is shown while waiting"
    assert check(host).status["system.apt_idle"] == "ok"


def test_an_apt_that_stays_busy_fails_and_the_process_is_named(trixie: LabHost) -> None:
    with locked(trixie, LOCK) as pid:
        run = provision(trixie, apt_lock_timeout_s=4)
        assert run.status == 1
        # On a host with much to do a sleep of 4 s takes longer.
        told = rf"apt is busy: waited (\d+) s for python3 \(pid {pid}\), which holds {LOCK}"
        waited = re.search(told, run.stderr)
        assert waited, run.stderr
        assert 4 <= int(waited[1]) < 60


LISTENER = """
import http.server
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/root/asked", "a") as log:
            log.write(f"{self.path} {self.headers.get('Proxy-Authorization')}\\n")
        self.send_error(404)
http.server.HTTPServer(("127.0.0.1", 3128), Proxy).serve_forever()
"""


@pytest.fixture
def proxied(trixie: LabHost) -> Iterator[LabHost]:
    """A host with a proxy declared, and before that a other Docker configuration."""
    trixie.run("mkdir -p /root/.docker")
    trixie.put(CLIENT_FILE, json.dumps(FOREIGN).encode(), mode=0o600)
    run = provision(trixie, **PROXY_SETTINGS)
    assert run.status == 0, run.stderr
    assert run.changed == {"HTTP proxy": [trixie.name]}
    yield trixie
    provision(trixie)
    trixie.run("rm -rf /root/.docker")


FOREIGN = {
    "auths": {"registry.lab": {"auth": "Zm9yZWlnbg=="}},
    "proxies": {"tcp://other:2375": {"httpProxy": "http://other:1"}, "default": {"ftpProxy": "f"}},
}


def test_a_proxy_is_configured_everywhere_and_other_keys_stay(proxied: LabHost) -> None:
    verdicts = check(proxied, **PROXY_SETTINGS)
    assert {verdicts.status[f"proxy.{place}"] for place in ("apt", "engine", "client")} == {"ok"}
    assert provision(proxied, **PROXY_SETTINGS).changed == {}
    client = json.loads(proxied.run(f"cat {CLIENT_FILE}").stdout)
    ours = {"httpProxy": PROXY, "httpsProxy": PROXY, "noProxy": "localhost,.lab"}
    default = {**FOREIGN["proxies"]["default"], **ours}
    assert client == {**FOREIGN, "proxies": {**FOREIGN["proxies"], "default": default}}
    # The environment that systemd reads from the engine's file.
    seen = proxied.run(f"systemd-run -q --wait --pipe -p EnvironmentFile={ENGINE_FILE} env").stdout
    assert f"HTTP_PROXY={PROXY}\n" in seen
    assert "NO_PROXY=localhost,.lab\n" in seen


def test_apt_uses_the_proxy_with_the_password(proxied: LabHost) -> None:
    proxied.put("/root/listener.py", LISTENER.encode())
    proxied.run("systemd-run -q --unit=proxy python3 /root/listener.py")
    proxied.run("until ss -Hltn | grep -q 127.0.0.1:3128; do sleep 0.1; done")
    try:
        proxied.run(
            "mkdir -p /root/lists/partial; "
            "echo 'deb [trusted=yes] http://packages.example.com/ ./' >/root/one.list; "
            "apt-get update -o Dir::Etc::SourceList=/root/one.list "
            "-o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/root/lists",
            check=False,
        )
        requests = proxied.run("cat /root/asked").stdout
    finally:
        proxied.run("systemctl stop proxy; rm -rf /root/asked /root/lists")
    assert "http://packages.example.com/" in requests
    assert "Basic Z3B1OnMzY3JldC0wZi10aGUtcHJveHk=" in requests


def test_the_proxy_password_is_only_in_its_files(trixie: LabHost) -> None:
    """As a user with sudo, whose command lines are all in the journal."""
    as_ops: dict[str, Any] = {"ssh_user": "ops", **PROXY_SETTINGS}
    try:
        planned = deploy(trixie, deploy="tests/e2e/system_alone.py", dry=True, **as_ops)
        assert planned.planned == {"HTTP proxy": [trixie.name]}
        run = provision(trixie, **as_ops)
        assert run.status == 0, run.stderr
        assert run.changed == {"HTTP proxy": [trixie.name]}
        verdicts = check(trixie, **as_ops)
        for text in (
            planned.stderr,
            json.dumps(planned.planned),
            run.stderr,
            repr(verdicts.findings),
        ):
            assert PASSWORD not in text
        journal = trixie.run("journalctl -q").stdout
        assert "COMMAND=" in journal
        assert PASSWORD not in journal
        assert (
            PASSWORD
            not in trixie.run("systemctl show '*'; systemctl cat 'docker*'", check=False).stdout
        )
        places = trixie.run(
            f"grep -rl --binary-files=text {PASSWORD} /etc /root /run /tmp /var /home"
        ).stdout
        assert sorted(places.split()) == sorted([APT_FILE, ENGINE_FILE, CLIENT_FILE])
        modes = trixie.run(f"stat -c '%a %U' {APT_FILE} {ENGINE_FILE} {CLIENT_FILE}").stdout
        assert modes == "600 root\n" * 3
        assert trixie.ssh(f"cat {APT_FILE} {ENGINE_FILE}", user="ops", check=False).status != 0
    finally:
        provision(trixie)


def test_a_changed_password_is_found_and_written(proxied: LabHost) -> None:
    other = PROXY.replace(PASSWORD, "changed")
    declared: dict[str, Any] = {**PROXY_SETTINGS, "proxy_http": other, "proxy_https": other}
    before = check(proxied, **PROXY_SETTINGS).failing
    verdicts = check(proxied, **declared)
    assert verdicts.failing == before | {"proxy.apt", "proxy.engine", "proxy.client"}
    assert provision(proxied, **declared).changed == {"HTTP proxy": [proxied.name]}
    assert check(proxied, **declared).failing == before


def test_removal_restores_the_previous_state(proxied: LabHost) -> None:
    run = deploy(proxied, deploy="deploys/remove.py", remove="proxy,system", **PROXY_SETTINGS)
    assert run.status == 0, run.stderr
    assert set(run.changed) == {"HTTP proxy", "Security updates"}
    assert json.loads(proxied.run(f"cat {CLIENT_FILE}").stdout) == FOREIGN
    left = proxied.run(f"ls {APT_FILE} {ENGINE_FILE} {ENGINE_DROPIN} {UPDATES_FILE}", check=False)
    assert left.stdout == ""
    assert set(provision(proxied).changed) == {"Security updates"}


def test_sudo_with_a_password_through_pyinfras_own_options(hosts: Hosts) -> None:
    """Checks and deploy work for a user whose sudo needs a password."""
    with_password: dict[str, Any] = {
        "ssh_user": "locked",
        "_sudo": True,
        "_sudo_password": "locked",
    }
    (blank,) = hosts(HostSpec("system-password", "trixie", card="p40"))
    verdicts = check(blank, **with_password)
    assert verdicts.findings["system.privileges"]["actual"] == "root by sudo"
    run = deploy(blank, **with_password)
    assert run.status == 0, run.stderr
    assert {"Container engine", "Container toolkit", "Firewall"} <= run.changed.keys()
    assert check(blank).failing == set()
    assert deploy(blank, **with_password).changed == {}


def test_without_the_password_nothing_changes_and_the_reason_is_printed(trixie: LabHost) -> None:
    trixie.run(f"rm {UPDATES_FILE}")
    run = provision(trixie, ssh_user="locked")
    assert run.status == 1
    assert "system.privileges: this user is not root" in run.stderr
    assert "--sudo --same-sudo-password" in run.stderr
    assert run.changed == {}
    assert provision(trixie).changed == {"Security updates": [trixie.name]}


CHANGED = "find / -xdev -newercm /root/mark -printf '%p\\n' 2>/dev/null | sort"


def test_reading_changes_no_file_of_the_host(host: LabHost) -> None:
    """It leaves no file in the directories that it writes in."""
    text = script(request_for(Settings())).encode()
    temporary = "ls -A /run /tmp /dev/shm /var/tmp"
    host.run("sh", stdin=text)
    before = host.run(temporary).stdout
    # journald changes its files minutes after a line was logged.
    host.run("journalctl --sync; touch /root/mark; sleep 1; touch /root/seen")
    assert len(host.run("sh", stdin=text).stdout) > 1000
    changed = host.run(CHANGED).stdout.split()
    # /run is a tmpfs; the reading had its directory in it.
    assert set(changed) - {"/run"} == {"/root", "/root/seen"}
    assert host.run(temporary).stdout == before
