"""A machine in use, before gpuhost has closed anything: which of its ports would be closed."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.plans.firewall import change
from gpuhost.plans.firewall_in_use import refusal
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.recorded import snapshot_of

LISTENS = """\
tcp LISTEN 0 9 0.0.0.0:7777 0.0.0.0:* users:(("postgres",pid=2276,fd=3))
tcp LISTEN 0 9 [::]:7777 [::]:* users:(("postgres",pid=2276,fd=4))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=123,fd=6))
"""
PROXY = 'tcp LISTEN 0 9 0.0.0.0:8000 0.0.0.0:* users:(("{}",pid=990,fd=7))\n'
# As ufw loads them, without its logging and ICMP.
CHAINS = """\
*filter
:INPUT {policy} [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:{ufw}-before-input - [0:0]
:{ufw}-user-input - [0:0]
:{ufw}-after-input - [0:0]
{first}-A INPUT -j {ufw}-before-input
-A INPUT -j {ufw}-after-input
-A {ufw}-before-input -i lo -j ACCEPT
-A {ufw}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{before}-A {ufw}-before-input -j {ufw}-user-input
{user}COMMIT
{more}"""
# ufw-init-functions with IPV6=no: nothing comes in over IPv6.
NO_IPV6 = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
COMMIT
"""
OPEN = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
TUPLE = "### tuple ### "
POSTGRES = "would close 7777/tcp (postgres)"
PUBLISHED = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8000 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:DOCKER - [0:0]
-A FORWARD -o docker0 -j DOCKER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
"""
UFW = "rules that gpuhost did not make: ufw: allow 7777/tcp from "
DNAT = "PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.0.3.7:22"
DOCKERS = "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"


def chains(ufw: str, policy: str, **rules: str) -> str:
    texts = {"first": "", "before": "", "user": "", "more": "", **rules}
    return CHAINS.format(ufw=ufw, policy=policy, **texts)


def host(
    policy: str = "DROP",
    *,
    ipv6: str | None = None,
    allowed: str = "",
    listens: str = LISTENS,
    enabled: str = "yes",
    **rules: str,
) -> Snapshot:
    """A host on which somebody else set ufw up. ipv6: its tables; None: as for IPv4."""
    files: dict[str, Any] = {
        "/etc/default/ufw": f"IPV6={'no' if ipv6 == NO_IPV6 else 'yes'}\n"
        f'DEFAULT_INPUT_POLICY="{policy}"\nMANAGE_BUILTINS=no\n',
        "/etc/ufw/ufw.conf": f"ENABLED={enabled}\n",
        "/etc/ufw/user.rules": f"*filter\n{TUPLE}{allowed}\n" if allowed else "*filter\n",
    }
    probes = {
        "iptables_save": {"out": chains("ufw", policy, **rules) if enabled == "yes" else OPEN},
        "ip6tables_save": {"out": chains("ufw6", policy) if ipv6 is None else ipv6},
        "docker_containers": {"out": ""},
        "listeners": {"out": listens},
    }
    return snapshot_of({"host": "firewall-used", "files": files, "probes": probes})


# What the host is, and what the refusal says; "": nothing is closed, and nothing is refused.
CASES = {
    "ufw denies": (host(), ""),
    "ufw rejects": (host(ipv6=chains("ufw6", "DROP")), ""),
    "ufw allows": (host("ACCEPT"), POSTGRES),
    # As ufw-init loads it: the chain that tracks what the policy accepts.
    "ufw allows, and tracks what it lets in": (
        host(
            "ACCEPT",
            more="*filter\n:ufw-track-input - [0:0]\n-A INPUT -j ufw-track-input\n"
            "-A ufw-track-input -p tcp -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
            ipv6=NO_IPV6,
        ),
        POSTGRES,
    ),
    "ufw is off": (host("DROP", ipv6=OPEN, enabled="no"), POSTGRES),
    "ufw denies, and leaves IPv6 out: it drops everything there": (host(ipv6=NO_IPV6), ""),
    "ufw denies, and IPv6 is open": (host(ipv6=OPEN), POSTGRES),
    "ufw allows, and it has the port in its rules": (
        host("ACCEPT", allowed="allow tcp 7777 0.0.0.0/0 any 0.0.0.0/0 in"),
        f"{UFW}0.0.0.0/0",
    ),
    "ufw allows, and one network has the port in its rules: for others it closes": (
        host("ACCEPT", allowed="allow tcp 7777 0.0.0.0/0 any 10.0.0.0/8 in"),
        f"{POSTGRES}; {UFW}10.0.0.0/8",
    ),
    "ufw allows, and one interface has the port in its rules": (
        host("ACCEPT", allowed="allow tcp 7777 0.0.0.0/0 any 0.0.0.0/0 in_eth1"),
        f"{POSTGRES}; {UFW}0.0.0.0/0 on eth1",
    ),
    "a rule of the kernel alone, which ufw's next start removes": (
        host(user="-A ufw-user-input -p tcp -m tcp --dport 7777 -j ACCEPT\n"),
        POSTGRES,
    ),
    "a rule of before.rules stays": (
        host(before="-A ufw-before-input -p tcp -m tcp --dport 7777 -j ACCEPT\n"),
        "",
    ),
    "a rule of others before ufw stays": (
        host(first="-A INPUT -p tcp -m tcp --dport 7777 -j ACCEPT\n"),
        "rules that gpuhost did not make: iptables: INPUT -p tcp -m tcp --dport 7777 -j ACCEPT",
    ),
    "what an engine that was not read publishes passes by ufw": (
        host(listens=PROXY.format("docker-proxy"), more=PUBLISHED),
        "would close 8000/tcp (docker-proxy, of an engine that gpuhost does not read)",
    ),
    "the same without Docker's userland proxy": (
        host(listens=PROXY.format("dockerd"), more=PUBLISHED),
        "would close 8000/tcp (dockerd)",
    ),
    "a proxy without Docker's rules does not pass by ufw": (
        host(listens=PROXY.format("docker-proxy")),
        "",
    ),
    "what is sent on to another machine": (
        host(more=f"*nat\n:PREROUTING ACCEPT [0:0]\n-A {DNAT}\nCOMMIT\n"),
        f"rules that gpuhost did not make: iptables -t nat: {DNAT}",
    ),
    "Docker's own rewriting": (
        host(more=f"*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A {DOCKERS}\nCOMMIT\n"),
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_ports_in_use_are_named_before_they_are_closed(name: str) -> None:
    snapshot, says = CASES[name]
    found = refusal(snapshot, Settings())
    assert (found.reason.removeprefix("a used machine: ") if found else "") == says
    assert "ufw allow proto tcp from any to any port 22" in change(snapshot.firewall, Settings())


def test_a_declared_port_stays_open() -> None:
    snapshot, _ = CASES["ufw allows"]
    assert refusal(snapshot, Settings(firewall_allow=("7777/tcp",))) is None
