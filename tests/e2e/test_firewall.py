"""A closed host: what is reachable, what survives restarts, what is found and repaired."""

from __future__ import annotations

import pytest

from tests.e2e.commands import deploy
from tests.e2e.firewalled import (
    ALLOWED,
    ALONE,
    CLOSED,
    OWN,
    PENDING,
    SETTINGS,
    STEP,
    answer,
    failing,
    firewall,
    is_served,
    provision,
    serve,
    wait_until,
)
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def guarded(hosts: Hosts) -> dict[str, LabHost]:
    """A closed host of each release, with two published ports and a listener of the host itself."""
    booted = hosts(*(HostSpec(f"firewall-{release}", release) for release in RELEASES))
    run = deploy(*booted, deploy=ALONE, **SETTINGS)
    assert run.status == 0, run.stderr
    for host in booted:
        serve(host, ALLOWED, CLOSED)
        host.run(
            "systemd-run --unit=own busybox httpd -f -p 7777 -h /root/web/www &&"
            " systemctl is-active own"
        )
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, guarded: dict[str, LabHost]) -> LabHost:
    return guarded[request.param]


@pytest.fixture
def trixie(guarded: dict[str, LabHost]) -> LabHost:
    return guarded["trixie"]


def assert_only_allowed_ports_are_open(host: LabHost) -> None:
    assert is_served(host, ALLOWED)
    assert not is_served(host, CLOSED)
    assert not is_served(host, OWN)
    assert answer(host, 22) == "SSH-"


@pytest.mark.every_release
def test_only_allowed_ports_are_reachable_from_another_machine(host: LabHost) -> None:
    for port in (ALLOWED, CLOSED, OWN):
        served = host.run(f"curl -sS -m 5 http://127.0.0.1:{port}/").stdout
        assert served == "served\n", "it would answer, if it could be reached"
    assert_only_allowed_ports_are_open(host)
    statuses = firewall(host)
    assert statuses.pop("firewall.closed") == "warn", (
        "published, but closed: a person wants to know"
    )
    assert set(statuses.values()) == {"ok"}


def test_ipv6_has_the_same_rules(host: LabHost) -> None:
    for chain in ("GPUHOST-PUBLISHED", "GPUHOST-ALLOWED"):
        four, six = (host.run(f"{t} -S {chain}").stdout for t in ("iptables", "ip6tables"))
        assert four == six
        assert "-j DROP" in four or chain == "GPUHOST-PUBLISHED"
    assert "-P INPUT DROP" in host.run("ip6tables -S INPUT").stdout


def test_ipv6_is_filtered_in_the_same_way(guarded: dict[str, LabHost]) -> None:
    """The lab's network has no IPv6, so two hosts get their own addresses on it."""
    inside, outside = guarded["trixie"], guarded["bookworm"]
    for number, host in enumerate((inside, outside), start=1):
        host.run("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 0 >$f; done")
        host.run(f"ip -6 address add fd77::{number}/64 dev eth0 nodad")
    # The engine publishes on [::] only where it found IPv6.
    inside.run("systemctl restart docker")
    wait_until(lambda: "served" in _get_over_ipv6(outside, ALLOWED), "the allowed port is reached")
    assert _get_over_ipv6(outside, CLOSED) == ""
    assert _get_over_ipv6(outside, OWN) == ""
    assert "ssh-ed25519" in outside.run("ssh-keyscan -T 5 -t ed25519 fd77::1").stdout


def _get_over_ipv6(host: LabHost, port: int) -> str:
    return host.run(f"curl -gsS -m 3 http://[fd77::1]:{port}/", check=False).stdout


def test_containers_reach_each_other_and_other_machines(
    host: LabHost, guarded: dict[str, LabHost]
) -> None:
    host.run("docker network create other")
    try:
        for network in ("bridge", "other"):
            assert "served" in _get_from_container(host, network, host.state.address, CLOSED)
        assert "served" in _get_from_container(host, "bridge", _container_address(host), 80)
        neighbour = next(other for other in guarded.values() if other is not host)
        assert "served" in _get_from_container(host, "other", neighbour.state.address, ALLOWED)
    finally:
        host.run("docker network rm other")


def _get_from_container(host: LabHost, network: str, address: str, port: int) -> str:
    """The answer to a request from a container on this network. A static wget crashes on names."""
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 5 {address} {port}"
    container = f'docker run --rm --network={network} web /bin/busybox sh -c "{ask}"'
    return host.run(container).stdout


def _container_address(host: LabHost) -> str:
    networks = ".NetworkSettings.Networks.bridge.IPAddress"
    return host.run(f"docker inspect -f '{{{{{networks}}}}}' web{CLOSED}").stdout.strip()


def test_a_neighbour_cannot_route_to_a_container(guarded: dict[str, LabHost]) -> None:
    inside, outside = guarded["trixie"], guarded["bookworm"]
    # Both hosts use the same network, so the neighbour's containers have the same addresses.
    outside.run("docker stop web8080 web8081")
    container = _container_address(inside)
    outside.run(f"ip route add {container}/32 via {inside.state.address}")
    try:
        answer = outside.run(f"curl -sS -m 3 http://{container}/", check=False)
        assert answer.stdout == ""
        assert "timed out" in answer.stderr
    finally:
        outside.run(f"ip route del {container}/32; docker start web8080 web8081")


def test_rules_survive_a_restart_of_the_engine(host: LabHost) -> None:
    host.run("systemctl restart docker")
    wait_until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert_only_allowed_ports_are_open(host)
    assert failing(host) == {}


def test_rules_survive_a_reboot(host: LabHost) -> None:
    host.reboot()
    host.run("systemd-run --unit=own busybox httpd -f -p 7777 -h /root/web/www")
    wait_until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert_only_allowed_ports_are_open(host)
    assert failing(host) == {}


def test_a_second_run_changes_nothing(host: LabHost) -> None:
    run = provision(host)
    assert (run.status, run.changed) == (0, {})


TAMPERS = {
    "firewall.enabled": "ufw disable",
    "firewall.loaded": f"iptables -D ufw-user-input -p tcp --dport {ALLOWED} -j ACCEPT",
    "firewall.allow": f"ufw delete allow proto tcp from any to any port {ALLOWED}",
    "firewall.ssh": "ufw allow in on eth0 && ufw delete allow proto tcp from any to any port 22",
    "firewall.published": "iptables -F DOCKER-USER",
    "firewall.confirmed": f"mkdir {PENDING}",
}
# That rule, without which the tests could not log in, lets everything in.
ALSO = {"firewall.ssh": {"firewall.foreign"}}


@pytest.mark.every_release
@pytest.mark.parametrize(
    ("id", "release"), [(id, RELEASES[number % 2]) for number, id in enumerate(TAMPERS)]
)
def test_a_change_by_hand_is_found_and_repaired(
    guarded: dict[str, LabHost], id: str, release: str
) -> None:
    host = guarded[release]
    assert failing(host) == {}
    host.run(TAMPERS[id])
    assert failing(host).keys() == {id, *ALSO.get(id, ())}
    run = provision(host)
    host.run("ufw delete allow in on eth0", check=False)
    assert run.status == 0, run.stderr
    assert run.changed == {STEP: [host.name]}
    assert failing(host) == {}
    wait_until(lambda: is_served(host, ALLOWED), "the allowed port is reached")
    assert_only_allowed_ports_are_open(host)


def test_flushed_tables_are_repaired(host: LabHost) -> None:
    """After `iptables -F` the chains have no rules, and no rule jumps to them."""
    for tool in ("iptables", "ip6tables"):
        host.run(f"{tool} -P INPUT ACCEPT; {tool} -F")
    assert failing(host).keys() == {"firewall.loaded", "firewall.published"}
    assert provision(host).changed == {STEP: [host.name]}
    host.run("systemctl restart docker")
    wait_until(lambda: is_served(host, ALLOWED), "the containers come back")
    assert failing(host) == {}
    assert_only_allowed_ports_are_open(host)


def test_an_undeclared_port_is_closed_and_a_source_network_is_respected(trixie: LabHost) -> None:
    narrow = [f"{ALLOWED}/tcp from 203.0.113.0/24", f"{CLOSED}/tcp"]
    assert provision(trixie, firewall_allow=narrow).changed == {STEP: [trixie.name]}
    assert not is_served(trixie, ALLOWED)
    assert is_served(trixie, CLOSED)
    rules = trixie.run("ufw status").stdout
    assert "203.0.113.0/24" in rules
    assert provision(trixie).changed == {STEP: [trixie.name]}
    assert "203.0.113.0/24" not in trixie.run("ufw status").stdout
    assert_only_allowed_ports_are_open(trixie)


def test_every_ssh_port_is_opened(trixie: LabHost) -> None:
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
