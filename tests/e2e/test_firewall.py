"""The firewall on real hosts: what is reached from outside, what survives, what is undone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy, start
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import Wanted
from tests.lab.process import Deadline

pytestmark = pytest.mark.lab

ALONE = "tests/e2e/firewall_alone.py"
STEP = "Firewall"
PENDING = "/var/lib/gpuhost/firewall/pending"
ALLOWED, CLOSED, OWN = 8080, 8081, 7777
# The distributions' own engines, 20.10 and 26.1: with Docker's packages both would be the same.
ENGINE: dict[str, Any] = {"docker_source": "distro"}
SETTINGS: dict[str, Any] = {"firewall_allow": [f"{ALLOWED}/tcp"], **ENGINE}

# A web server of one file, as a container and as a program of the host.
IMAGE = """
set -e
apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install busybox-static
mkdir -p /root/web/bin /root/web/www
cp /bin/busybox /root/web/bin/ && echo served >/root/web/www/index.html
"""
CONTAINER = (
    "docker run -d --restart=always -p {port}:80 --name web{port} web /bin/busybox httpd -f -h /www"
)
# What a change of the firewall could leave behind, without counters and comments.
STATE = """
for tool in iptables ip6tables; do $tool-save | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'; done
echo files:
find /etc/ufw /etc/default/ufw /etc/gpuhost -type f 2>/dev/null | sort | xargs stat -c '%n %a %U:%G'
find /etc/ufw /etc/default/ufw /etc/gpuhost -type f 2>/dev/null | sort | xargs sha256sum
systemctl is-enabled ufw.service
"""


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy=ALONE, **{**SETTINGS, **settings})


def _removed(host: LabHost) -> Run:
    return deploy(host, deploy="deploys/remove.py", remove="firewall")


def firewall(host: LabHost, **settings: Any) -> dict[str, str]:
    """The status of the firewall's checks, by id."""
    status = check(host, **{**SETTINGS, **settings}).status
    return {id: value for id, value in status.items() if id.startswith("firewall.")}


def failing(host: LabHost, **settings: Any) -> dict[str, str]:
    """What the firewall's checks that fail, or could not tell, say; by id."""
    found = check(host, **{**SETTINGS, **settings}).findings.values()
    return {
        finding["id"]: finding["actual"]
        for finding in found
        if finding["id"].startswith("firewall.") and finding["status"] in ("fail", "unknown")
    }


def state(host: LabHost) -> str:
    """Tables, files and unit, as they could be left by a change, without tables that do nothing.

    To list a table that is not there, or to go back to one, iptables makes it: empty, and open.
    """
    tables, files = host.run(STATE).stdout.split("files:\n")
    working = [t for t in tables.split("COMMIT\n") if "-A " in t or " -" in t or " DROP" in t]
    return "COMMIT\n".join([*working, files])


def answer(host: LabHost, port: int) -> str:
    """What a server on the host says to another machine; nothing if it cannot be reached."""
    try:
        with socket.create_connection((host.state.address, port), timeout=2) as connection:
            if port not in (22, 2222):
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.makefile("rb").read(4 if port in (22, 2222) else -1).decode()
    except OSError:
        return ""


def is_served(host: LabHost, port: int) -> bool:
    return "served" in answer(host, port)


def serve(host: LabHost, *ports: int) -> None:
    """Containers that publish these ports."""
    host.run(IMAGE, timeout=300)
    host.run("tar -c -C /root/web . | docker import - web")
    for port in ports:
        host.run(CONTAINER.format(port=port))


@pytest.fixture(scope="module")
def guarded(hosts: Hosts) -> dict[str, LabHost]:
    """A closed host of each release, with two published ports and a listener of its own."""
    found = hosts(*(Wanted(f"firewall-{release}", release) for release in RELEASES))
    run = deploy(*found, deploy=ALONE, **SETTINGS)
    assert run.status == 0, run.stderr
    for host in found:
        serve(host, ALLOWED, CLOSED)
        host.run(
            "systemd-run --unit=own busybox httpd -f -p 7777 -h /root/web/www &&"
            " systemctl is-active own"
        )
    return {host.state.release: host for host in found}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, guarded: dict[str, LabHost]) -> LabHost:
    return guarded[request.param]


@pytest.fixture
def trixie(guarded: dict[str, LabHost]) -> LabHost:
    return guarded["trixie"]


def assert_closed_but_for_the_allowed(host: LabHost) -> None:
    assert is_served(host, ALLOWED)
    assert not is_served(host, CLOSED)
    assert not is_served(host, OWN)
    assert answer(host, 22) == "SSH-"


def test_only_what_is_allowed_is_reached_from_another_machine(host: LabHost) -> None:
    for port in (ALLOWED, CLOSED, OWN):
        served = host.run(f"curl -sS -m 5 http://127.0.0.1:{port}/").stdout
        assert served == "served\n", "it would answer, if it could be reached"
    assert_closed_but_for_the_allowed(host)
    found = firewall(host)
    assert found.pop("firewall.closed") == "warn", "published, but closed: a person wants to know"
    assert set(found.values()) == {"ok"}


def test_ipv6_has_the_same_rules(host: LabHost) -> None:
    for chain in ("GPUHOST-PUBLISHED", "GPUHOST-ALLOWED"):
        four, six = (host.run(f"{t} -S {chain}").stdout for t in ("iptables", "ip6tables"))
        assert four == six
        assert "-j DROP" in four or chain == "GPUHOST-PUBLISHED"
    assert "-P INPUT DROP" in host.run("ip6tables -S INPUT").stdout


def test_over_ipv6_it_is_the_same(guarded: dict[str, LabHost]) -> None:
    """The lab's network has no IPv6, so two hosts take addresses of their own on it."""
    inside, outside = guarded["trixie"], guarded["bookworm"]
    for number, host in enumerate((inside, outside), start=1):
        host.run("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 0 >$f; done")
        host.run(f"ip -6 address add fd77::{number}/64 dev eth0 nodad")
    # The engine publishes on [::] only where it found IPv6.
    inside.run("systemctl restart docker")
    _until(lambda: "served" in _asked_over_ipv6(outside, ALLOWED), "the allowed port is reached")
    assert _asked_over_ipv6(outside, CLOSED) == ""
    assert _asked_over_ipv6(outside, OWN) == ""
    assert "ssh-ed25519" in outside.run("ssh-keyscan -T 5 -t ed25519 fd77::1").stdout


def _asked_over_ipv6(host: LabHost, port: int) -> str:
    return host.run(f"curl -gsS -m 3 http://[fd77::1]:{port}/", check=False).stdout


def test_containers_reach_each_other_and_the_world(
    host: LabHost, guarded: dict[str, LabHost]
) -> None:
    host.run("docker network create other")
    try:
        for network in ("bridge", "other"):
            assert "served" in _asked_from(host, network, host.state.address, CLOSED)
        assert "served" in _asked_from(host, "bridge", _container_address(host), 80)
        neighbour = next(other for other in guarded.values() if other is not host)
        assert "served" in _asked_from(host, "other", neighbour.state.address, ALLOWED)
    finally:
        host.run("docker network rm other")


def _asked_from(host: LabHost, network: str, address: str, port: int) -> str:
    """What a container on this network gets from there. No wget: static, it crashes on names."""
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 5 {address} {port}"
    container = f'docker run --rm --network={network} web /bin/busybox sh -c "{ask}"'
    return host.run(container).stdout


def _container_address(host: LabHost) -> str:
    networks = ".NetworkSettings.Networks.bridge.IPAddress"
    return host.run(f"docker inspect -f '{{{{{networks}}}}}' web{CLOSED}").stdout.strip()


def test_a_neighbour_cannot_route_to_a_container(guarded: dict[str, LabHost]) -> None:
    inside, outside = guarded["trixie"], guarded["bookworm"]
    # Networks alike would make the address one of the neighbour's own containers.
    outside.run("docker stop web8080 web8081")
    container = _container_address(inside)
    outside.run(f"ip route add {container}/32 via {inside.state.address}")
    try:
        asked = outside.run(f"curl -sS -m 3 http://{container}/", check=False)
        assert asked.stdout == ""
        assert "timed out" in asked.stderr
    finally:
        outside.run(f"ip route del {container}/32; docker start web8080 web8081")


def test_a_restart_of_the_engine_keeps_it(host: LabHost) -> None:
    host.run("systemctl restart docker")
    _until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert_closed_but_for_the_allowed(host)
    assert failing(host) == {}


def test_a_restart_of_the_host_keeps_it(host: LabHost) -> None:
    host.reboot()
    host.run("systemd-run --unit=own busybox httpd -f -p 7777 -h /root/web/www")
    _until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert_closed_but_for_the_allowed(host)
    assert failing(host) == {}


def test_a_second_run_changes_nothing(host: LabHost) -> None:
    run = provision(host)
    assert (run.status, run.changed) == (0, {})


PAIRS = {
    "firewall.enabled": "ufw disable",
    "firewall.loaded": f"iptables -D ufw-user-input -p tcp --dport {ALLOWED} -j ACCEPT",
    "firewall.allow": f"ufw delete allow proto tcp from any to any port {ALLOWED}",
    "firewall.ssh": "ufw allow in on eth0 && ufw delete allow proto tcp from any to any port 22",
    "firewall.published": "iptables -F DOCKER-USER",
    "firewall.confirmed": f"mkdir {PENDING}",
}


@pytest.mark.parametrize(
    ("id", "release"), [(id, RELEASES[number % 2]) for number, id in enumerate(PAIRS)]
)
def test_tampered_found_mended(guarded: dict[str, LabHost], id: str, release: str) -> None:
    host = guarded[release]
    assert failing(host) == {}
    host.run(PAIRS[id])
    assert failing(host).keys() == {id}
    run = provision(host)
    host.run("ufw delete allow in on eth0", check=False)
    assert run.status == 0, run.stderr
    assert run.changed == {STEP: [host.name]}
    assert failing(host) == {}
    _until(lambda: is_served(host, ALLOWED), "the allowed port is reached")
    assert_closed_but_for_the_allowed(host)


def test_flushed_tables_are_mended(host: LabHost) -> None:
    """What `iptables -F` leaves: chains without rules, and nothing that leads to them."""
    for tool in ("iptables", "ip6tables"):
        host.run(f"{tool} -P INPUT ACCEPT; {tool} -F")
    assert failing(host).keys() == {"firewall.loaded", "firewall.published"}
    assert provision(host).changed == {STEP: [host.name]}
    host.run("systemctl restart docker")
    _until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert failing(host) == {}
    assert_closed_but_for_the_allowed(host)


def test_what_is_no_longer_allowed_is_closed_and_networks_are_told_apart(trixie: LabHost) -> None:
    narrow = [f"{ALLOWED}/tcp from 203.0.113.0/24", f"{CLOSED}/tcp"]
    assert provision(trixie, firewall_allow=narrow).changed == {STEP: [trixie.name]}
    assert not is_served(trixie, ALLOWED)
    assert is_served(trixie, CLOSED)
    said = trixie.run("ufw status").stdout
    assert "203.0.113.0/24" in said
    assert provision(trixie).changed == {STEP: [trixie.name]}
    assert "203.0.113.0/24" not in trixie.run("ufw status").stdout
    assert_closed_but_for_the_allowed(trixie)


def test_every_port_of_ssh_is_found(trixie: LabHost) -> None:
    conf = "/etc/ssh/sshd_config.d/ports.conf"
    trixie.run(f"printf 'Port 22\\nPort 2222\\n' >{conf}; systemctl restart ssh")
    try:
        assert failing(trixie).keys() == {"firewall.ssh"}
        assert answer(trixie, 2222) == ""
        assert provision(trixie).changed == {STEP: [trixie.name]}
        assert (answer(trixie, 22), answer(trixie, 2222)) == ("SSH-", "SSH-")
    finally:
        trixie.run(f"rm {conf}; systemctl restart ssh")
    assert provision(trixie).changed == {STEP: [trixie.name]}
    assert (answer(trixie, 22), answer(trixie, 2222)) == ("SSH-", "")


def test_a_used_machine_is_asked_first_and_keeps_its_rules(hosts: Hosts) -> None:
    (used,) = hosts(Wanted("firewall-used", "bookworm"))
    assert deploy(used, deploy=ALONE, firewall_enabled=False, **ENGINE).status == 0
    used.run("apt-get -q -y install ufw", timeout=300)
    serve(used, CLOSED)
    used.run("ufw deny 9999/tcp; ufw allow from 192.0.2.7 to any port 5432 proto tcp")
    used.run("iptables -I DOCKER-USER -s 198.51.100.9 -j DROP")
    used.run("iptables -A INPUT -p udp --dport 9 -j DROP")
    before = state(used)

    refused = provision(used)
    assert (refused.status, refused.changed) == (0, {})
    assert failing(used).keys() == {"firewall.enabled"}
    for named in (f"{CLOSED}/tcp (container web{CLOSED})", "deny 9999/tcp", "198.51.100.9"):
        assert named in refused.stderr
    assert state(used) == before
    assert is_served(used, CLOSED)

    adopted = provision(used, adopt=True)
    assert (adopted.status, adopted.changed) == (0, {STEP: [used.name]})
    assert not is_served(used, CLOSED)
    assert failing(used) == {}
    rules = used.run("cat /etc/ufw/user.rules; iptables-save")
    for kept in (
        "deny tcp 9999",
        "192.0.2.7",
        "-s 198.51.100.9/32 -j DROP",
        "udp --dport 9 -j DROP",
    ):
        assert kept in rules.stdout

    taken = _removed(used)
    assert (taken.status, taken.changed) == (0, {"Firewall removed": [used.name]})
    assert is_served(used, CLOSED)
    after = state(used)
    assert "GPUHOST" not in after
    assert used.run("ufw status").stdout == "Status: inactive\n"
    for kept in ("-s 198.51.100.9/32 -j DROP", "udp --dport 9 -j DROP"):
        assert kept in after
    assert "deny tcp 9999" in used.run("cat /etc/ufw/user.rules").stdout
    left = used.run("ls /usr/local/lib/gpuhost /etc/systemd/system | grep -i firewall", check=False)
    assert left.stdout == ""
    assert _removed(used).changed == {}


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
    assert "a fresh login failed, the firewall's change is undone" in run.stderr
    assert state(open_host) == before
    open_host.run("iptables -D INPUT 1")
    assert firewall(open_host, adopt=True)["firewall.confirmed"] == "warn"


def test_a_dead_controller_confirms_nothing_and_the_change_is_undone(open_host: LabHost) -> None:
    before = state(open_host)
    _change_without_confirming(open_host, seconds=60)
    _until(lambda: _made(open_host), "the change is made")
    timers = open_host.run("systemctl list-timers 'gpuhost-firewall-revert-*'").stdout
    assert timers.count("gpuhost-firewall-revert-") == 2, "one timer, and what it activates"
    assert open_host.run("ufw status").stdout.startswith("Status: active")
    assert "firewall.confirmed" in failing(open_host, adopt=True)
    _until(lambda: not _is_pending(open_host), "the host undoes the change", seconds=150)
    assert state(open_host) == before
    assert open_host.ssh("id -un").stdout == "root\n"


def test_a_restart_in_the_middle_of_a_change_undoes_it(open_host: LabHost) -> None:
    open_host.reboot()
    before = state(open_host)
    _change_without_confirming(open_host, seconds=3600)
    _until(lambda: _made(open_host), "the change is made")
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
    assert _removed(open_host).status == 0
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


def _until(is_so: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = Deadline(seconds, what)
    while not is_so():
        deadline.pause()
