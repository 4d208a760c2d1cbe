"""Ports that others can reach: listeners, published ports, and sshd's."""

from __future__ import annotations

import pytest

from gpuhost.domain.firewall.listeners import (
    Listener,
    parse_ss,
    ssh_ports,
)
from gpuhost.domain.firewall.sockets import parse_published
from gpuhost.plans.firewall_in_use import published_ports
from tests.firewall.test_reading import RECORDED
from tests.recorded import snapshot_of


def test_listeners_that_others_can_reach() -> None:
    assert parse_ss(RECORDED["probes"]["listeners"]["out"]) == (
        Listener(22, "tcp", "sshd"),
        Listener(5353, "udp", "docker-proxy"),
        Listener(7777, "tcp", "busybox"),
        Listener(8080, "tcp", "docker-proxy"),
        Listener(8081, "tcp", "docker-proxy"),
    )


SOCKETS = [
    ("udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*", None),
    ('udp UNCONN 0 0 [fe80::1%eth0]:546 [::]:* users:(("dhclient",pid=1,fd=1))', None),
    ('udp UNCONN 0 0 0.0.0.0:41000 0.0.0.0:* users:(("avahi-daemon",pid=1,fd=1))', None),
    ('udp UNCONN 0 0 0.0.0.0:5353 0.0.0.0:* users:(("avahi-daemon",pid=1,fd=1))', None),
    ('udp UNCONN 0 0 0.0.0.0:5353 0.0.0.0:* users:(("coredns",pid=1,fd=1))', "5353/udp (coredns)"),
    ('udp UNCONN 0 0 0.0.0.0:5355 0.0.0.0:* users:(("systemd-resolve",pid=1,fd=1))', None),
    ("udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*", "51820/udp (kernel)"),
    (
        'udp UNCONN 0 0 0.0.0.0:41641 0.0.0.0:* users:(("tailscaled",pid=1,fd=1))',
        "41641/udp (tailscaled; perhaps only a client)",
    ),
    # Bound to an address, or to a port that the kernel gives to nobody: a server.
    (
        'udp UNCONN 0 0 198.51.100.2:49160 0.0.0.0:* users:(("turnserver",pid=1,fd=1))',
        "49160/udp (turnserver)",
    ),
    (
        'udp UNCONN 0 0 198.51.100.2:40000 0.0.0.0:* users:(("named",pid=1,fd=1))',
        "40000/udp (named)",
    ),
    (
        'udp UNCONN 0 0 *:61001 *:* users:(("mosh-server",pid=1,fd=1))',
        "61001/udp (mosh-server)",
    ),
    (
        'udp UNCONN 0 0 0.0.0.0:123 0.0.0.0:* users:(("ntpd",pid=1,fd=1))',
        "123/udp (ntpd; to set its own clock it needs no open port)",
    ),
    ('tcp LISTEN 0 128 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=1,fd=1))', None),
    ("tcp LISTEN 0 128 [::1]:631 [::]:*", None),
    ('tcp LISTEN 0 5 10.0.0.5%eth0:9100 0.0.0.0:* users:(("node",pid=1,fd=1))', "9100/tcp (node)"),
    ('tcp LISTEN 0 128 *:111 *:* users:(("rpcbind",pid=1,fd=1))', "111/tcp (rpcbind)"),
    ('sctp LISTEN 0 5 0.0.0.0:36412 0.0.0.0:* users:(("amf",pid=1,fd=1))', "36412/sctp (amf)"),
    ('dccp LISTEN 0 5 *:5001 *:* users:(("relay",pid=1,fd=1))', "5001/dccp (relay)"),
    (
        'raw UNCONN 0 0 0.0.0.0:112 0.0.0.0:* users:(("keepalived",pid=1,fd=1))',
        "IP protocol 112, VRRP (keepalived)",
    ),
    (
        'raw UNCONN 0 0 0.0.0.0:97 0.0.0.0:* users:(("etherip",pid=1,fd=1))',
        "IP protocol 97 (etherip)",
    ),
    ('raw UNCONN 0 0 *:58 *:* users:(("systemd-network",pid=1,fd=1))', None),
    ('raw UNCONN 0 0 0.0.0.0:255 0.0.0.0:* users:(("sender",pid=1,fd=1))', None),
    (
        'tcp LISTEN 0 4096 0.0.0.0:8000 0.0.0.0:* users:(("docker-proxy",pid=1,fd=1))',
        "8000/tcp (docker-proxy, of an engine that gpuhost does not read)",
    ),
]


@pytest.mark.parametrize(("line", "listener"), SOCKETS)
def test_a_socket_is_a_listener_or_a_clients(line: str, listener: str | None) -> None:
    assert [str(parsed) for parsed in parse_ss(line)] == ([listener] if listener else [])


def test_published_ports_of_docker_ps() -> None:
    ports = (
        "0.0.0.0:8080->80/tcp, :::8080->80/tcp, [::]:9000-9002->9000-9002/udp, "
        "127.0.0.1:9090->80/tcp, 443/tcp, 0.0.0.0:5->5/sctp"
    )
    assert [(str(port), port.address) for port in parse_published(ports, "web")] == [
        ("8080/tcp (container web)", ""),
        ("8080/tcp (container web)", ""),
        ("9000:9002/udp (container web)", ""),
        ("9090/tcp (container web)", "127.0.0.1"),
        ("5/sctp (container web)", ""),
    ]
    row = f"1f\tweb\trunning\tnginx\t{ports}\tshop\n"
    snapshot = snapshot_of({"host": "firewall-used", "probes": {"docker_containers": {"out": row}}})
    assert sorted(set(map(str, published_ports(snapshot)))) == [
        "8080/tcp (container web)",
        "9000:9002/udp (container web)",
    ]


def test_every_way_to_find_sshs_port() -> None:
    socket = "Listen=[::]:2022 (Stream)\nListen=10.0.0.1:2023 (Stream)\nId=ssh.socket\n"
    ports = ssh_ports(
        "port 22\nport 2222\nlistenaddress [::]:22\n",
        f"{socket}ActiveState=active\n",
        "192.0.2.1 50000 192.0.2.2 10022\n",
        [Listener(24, "tcp", "sshd"), Listener(25, "tcp", "master")],
    )
    assert ports == [22, 24, 2022, 2023, 2222, 10022]
    assert ssh_ports("", f"{socket}ActiveState=inactive\n", "", []) == []


GONE = "udp UNCONN 0 0 0.0.0.0:46180 0.0.0.0:*\n"
TUNNEL = "udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*\n"
SERVER = 'udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* users:(("dnsmasq",pid=1,fd=4))\n'


@pytest.mark.parametrize(
    ("again", "ports"),
    [
        ({"out": TUNNEL}, [53, 51820]),
        ({"out": ""}, [53]),
        ({"out": GONE + TUNNEL + SERVER}, [53, 46180, 51820]),
        (None, [53, 46180, 51820]),
    ],
)
def test_a_short_lived_client_socket_is_not_a_listener(
    again: dict[str, str] | None, ports: list[int]
) -> None:
    read = {"listeners": {"out": GONE + TUNNEL + SERVER}}
    if again is not None:
        read["listeners_again"] = again
    snapshot = snapshot_of({"host": "firewall-guarded", "probes": read})
    assert [listener.port for listener in snapshot.firewall.listeners] == ports
