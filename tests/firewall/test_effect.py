"""A closed host with rules of others before ours: what does not reach it, and what is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import run_checks
from gpuhost.plans.firewall_in_use import foreign_rules
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.firewall.test_reading import RECORDED
from tests.recorded import snapshot_of

SETTINGS = Settings(
    firewall_allow=("8080/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp from 2001:db8::/32")
)
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 172.19.0.2/16 brd 172.19.255.255 scope global eth0
2: eth0    inet6 2001:db8:1::2/64 scope global
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0
"""
ROUTES = """\
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010013AC 0003 0 0 0 00000000 0 0 0
eth0 000013AC 00000000 0001 0 0 0 0000FFFF 0 0 0
"""
NAT = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
UFW = "-A INPUT -j ufw-before-logging-input\n"
DOCKER_USER = "-A FORWARD -j DOCKER-USER\n"
ORACLE = """\
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
"""


def snapshot(
    before_ufw: str = "", before_docker: str = "", behind: str = "", **more: Any
) -> Snapshot:
    """The recorded host with rules of others in INPUT or FORWARD.

    + behind: tables and chains of others
    """
    saved = RECORDED["probes"]["iptables_save"]["out"]
    saved = saved.replace(UFW, before_ufw + UFW).replace(DOCKER_USER, before_docker + DOCKER_USER)
    probes = {
        "iptables_save": {"out": f"{saved}\n{NAT}{behind}"},
        "addresses": {"out": ADDRESSES},
        **more.pop("probes", {}),
    }
    files = {"/proc/net/route": ROUTES, **more.pop("files", {})}
    return snapshot_of({"host": "firewall-guarded", "probes": probes, "files": files})


def findings(host: Snapshot, settings: Settings = SETTINGS) -> dict[str, Finding]:
    return {finding.id: finding for finding in run_checks(host, settings, ["firewall"])}


@dataclass(frozen=True)
class Case:
    """Rules of others on a closed host. says: in which check, what it says."""

    name: str
    status: dict[str, str]
    says: tuple[str, ...] = ()
    rules: dict[str, Any] = field(default_factory=dict)


HEALTHY = {"firewall.reached": "ok", "firewall.foreign": "ok"}
# What one table of nftables accepts, ufw's may still drop.
VPN = """\
table inet vpn
table inet vpn {
	chain input {
		type filter hook input priority filter - 5; policy accept;
		ip saddr 203.0.113.0/24 accept
	}
}
"""
NETBIRD = """\
table ip netbird
table ip netbird {
	chain netbird-acl-input-filter {
		type filter hook input priority filter; policy accept;
		iifname "wt0" ip saddr 100.64.0.0/10 ip daddr 100.64.0.0/10 accept
		iifname "wt0" drop
	}
}
"""
CHAIN = "*filter\n:{name} - [0:0]\n{rules}COMMIT\n"
CASES = [
    Case("nothing", HEALTHY),
    Case(
        "Oracle's image",
        {"firewall.reached": "fail", "firewall.foreign": "ok"},
        (
            "3000/tcp over IPv4: closed by iptables: INPUT -j REJECT --reject-with icmp-host",
            "sudo iptables -D INPUT -j REJECT --reject-with icmp-host-prohibited",
            "delete the same line of /etc/iptables/rules.v4",
        ),
        {
            "before_ufw": ORACLE,
            "files": {"/etc/iptables/rules.v4": f"*filter\n{ORACLE}COMMIT\n"},
        },
    ),
    Case(
        "everything is accepted",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: INPUT -j ACCEPT", "sudo iptables -D INPUT -j ACCEPT"),
        {"before_ufw": "-A INPUT -j ACCEPT\n"},
    ),
    Case(
        "everything is accepted from one interface, the one outside",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force", "sudo iptables -D INPUT -i eth0 -j ACCEPT"),
        {"before_ufw": "-A INPUT -i eth0 -j ACCEPT\n"},
    ),
    Case(
        "everything is accepted in a chain of its own",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("iptables: panel -p tcp -j ACCEPT",),
        {
            "before_ufw": "-A INPUT -j panel\n",
            "behind": CHAIN.format(name="panel", rules="-A panel -p tcp -j ACCEPT\n"),
        },
    ),
    Case(
        "every port is accepted by name",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: INPUT -p tcp -m tcp --dport 1:65535 -j ACCEPT (every port)",),
        {"before_ufw": "-A INPUT -p tcp -m tcp --dport 1:65535 -j ACCEPT\n"},
    ),
    Case(
        "every port but one is accepted",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: INPUT -p tcp -m tcp ! --dport 25 -j ACCEPT (every port)",),
        {"before_ufw": "-A INPUT -p tcp -m tcp ! --dport 25 -j ACCEPT\n"},
    ),
    Case(
        "everything is accepted from half of all addresses",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: INPUT -s 0.0.0.0/1 -j ACCEPT (every port)",),
        {"before_ufw": "-A INPUT -s 0.0.0.0/1 -j ACCEPT\n"},
    ),
    Case(
        "a source that nftables lets in",
        {"firewall.reached": "ok", "firewall.foreign": "ok"},
        (),
        {"probes": {"nft_tables": {"rc": 0, "out": VPN}}},
    ),
    Case(
        "netbird, on a host without a default route",
        HEALTHY,
        (),
        {
            "files": {"/proc/net/route": "Iface\n"},
            "probes": {"nft_tables": {"rc": 0, "out": NETBIRD}},
        },
    ),
    Case(
        "one port for one source, in a chain of its own",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        (
            "1 foreign rules",
            "iptables: office -s 203.0.113.4/32 -p tcp -m tcp --dport 9000 -j ACCEPT (9000/tcp)",
        ),
        {
            "before_ufw": "-A INPUT -j office\n",
            "behind": CHAIN.format(
                name="office",
                rules="-A office -s 203.0.113.4/32 -p tcp -m tcp --dport 9000 -j ACCEPT\n",
            ),
        },
    ),
    Case(
        "a port is accepted before ufw",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("1 foreign rules", "iptables: INPUT -p tcp -m tcp --dport 9000 -j ACCEPT (9000/tcp)"),
        {"before_ufw": "-A INPUT -p tcp -m tcp --dport 9000 -j ACCEPT\n"},
    ),
    Case(
        "a declared port is accepted before ufw",
        HEALTHY,
        (),
        {"before_ufw": "-A INPUT -p tcp -m state --state NEW -m tcp --dport 8080 -j ACCEPT\n"},
    ),
    Case(
        "a source may do everything",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("1 foreign rules", "iptables: INPUT -s 203.0.113.4/32 -j ACCEPT (every port)"),
        {"before_ufw": "-A INPUT -s 203.0.113.4/32 -j ACCEPT\n"},
    ),
    Case(
        "fail2ban bans somebody",
        HEALTHY,
        (),
        {
            "before_ufw": "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n",
            "behind": CHAIN.format(
                name="f2b-sshd",
                rules="-A f2b-sshd -s 203.0.113.7/32 -j REJECT\n-A f2b-sshd -j RETURN\n",
            ),
        },
    ),
    Case(
        "crowdsec's set",
        {"firewall.reached": "ok", "firewall.foreign": "ok"},
        ("but for sources in crowdsec-blacklists",),
        {"before_ufw": "-A INPUT -m set --match-set crowdsec-blacklists src -j DROP\n"},
    ),
    Case(
        "only one country is let in",
        {"firewall.reached": "unknown"},
        ("-m set ! --match-set domestic src -j DROP",),
        {"before_ufw": "-A INPUT -m set ! --match-set domestic src -j DROP\n"},
    ),
    Case(
        "SSH from the office only: this login comes from there",
        HEALTHY,
        (),
        {"before_ufw": "-A INPUT ! -s 172.19.0.0/16 -p tcp -m tcp --dport 22 -j DROP\n"},
    ),
    Case(
        "SSH from an office in which this login is not",
        {"firewall.reached": "fail"},
        ("22/tcp over IPv4: closed by iptables: INPUT ! -s 203.0.113.0/24",),
        {"before_ufw": "-A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 22 -j DROP\n"},
    ),
    Case(
        "a table before the filter",
        {"firewall.reached": "fail"},
        ("iptables -t raw: PREROUTING", "sudo iptables -t raw -D PREROUTING -p tcp"),
        {
            "behind": "*raw\n:PREROUTING ACCEPT [0:0]\n"
            "-A PREROUTING -p tcp -m tcp --dport 8080 -j DROP\nCOMMIT\n"
        },
    ),
    Case(
        "a rule of ufw about more ports, before ours",
        {"firewall.reached": "fail"},
        ("ufw-user-input -p tcp -m multiport --dports 8000:8999 -j DROP", "ufw status numbered"),
        {
            "probes": {
                "iptables_save": {
                    "out": RECORDED["probes"]["iptables_save"]["out"].replace(
                        "-A ufw-user-input -p tcp -m tcp --dport 8080",
                        "-A ufw-user-input -p tcp -m multiport --dports 8000:8999 -j DROP\n"
                        "-A ufw-user-input -p tcp -m tcp --dport 8080",
                    )
                }
            }
        },
    ),
    Case(
        "what is forwarded is accepted before Docker's chains",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: FORWARD -j ACCEPT",),
        {"before_docker": "-A FORWARD -j ACCEPT\n"},
    ),
    Case(
        "one published port is accepted before Docker's chains",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("FORWARD -p tcp -m tcp --dport 80 -j ACCEPT (8081/tcp)",),
        {"before_docker": "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT\n"},
    ),
    Case(
        "forwarding is refused before Docker's chains",
        {"firewall.reached": "fail", "firewall.foreign": "ok"},
        ("8080/tcp over IPv4: closed by iptables: FORWARD -j REJECT",),
        {"before_docker": "-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n"},
    ),
    Case(
        "a published port is limited by its user",
        {"firewall.reached": "fail"},
        ("DOCKER-USER -i eth0 ! -s 10.0.0.0/8 -j DROP",),
        {
            "probes": {
                "iptables_save": {
                    "out": RECORDED["probes"]["iptables_save"]["out"].replace(
                        "-A DOCKER-USER -j RETURN\n",
                        "-A DOCKER-USER -i eth0 ! -s 10.0.0.0/8 -j DROP\n"
                        "-A DOCKER-USER -j RETURN\n",
                    )
                    + NAT
                }
            }
        },
    ),
    Case(
        "tailscale",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("iptables: ts-input -p udp -m udp --dport 41641 -j ACCEPT (41641/udp)",),
        {
            "before_ufw": "-A INPUT -j ts-input\n",
            "behind": CHAIN.format(
                name="ts-input",
                rules="-A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP\n"
                "-A ts-input -i tailscale0 -j ACCEPT\n"
                "-A ts-input -p udp -m udp --dport 41641 -j ACCEPT\n",
            ),
        },
    ),
    Case(
        "Docker 28 and later keep others from containers' own addresses",
        HEALTHY,
        (),
        {
            "behind": "*raw\n:PREROUTING ACCEPT [0:0]\n"
            "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP\nCOMMIT\n"
        },
    ),
    Case(
        "words of a host in a command to paste",
        {"firewall.reached": "fail"},
        ("--comment '$(reboot)'",),
        {"before_ufw": '-A INPUT -m comment --comment "$(reboot)" -j DROP\n'},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rules_of_others_on_a_closed_host(case: Case) -> None:
    found = findings(snapshot(**case.rules))
    status = {id: found[id].status.value for id in case.status}
    text = "\n".join(
        f"{f.actual}\n{f.evidence}\n{f.fix}" for id, f in found.items() if id in case.status
    )
    assert status == case.status, text
    assert [words for words in case.says if words not in text] == [], text
    unlisted = {id for id, f in found.items() if f.status.value in ("fail", "unknown")}
    assert unlisted <= case.status.keys(), text


DOCKERS = [
    "-m set --match-set docker-ext-bridges-v4 dst -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-i br-mailcow ! -o br-mailcow -j ACCEPT",
    "-o docker0 -j DOCKER",
]


@pytest.mark.parametrize("rule", DOCKERS)
def test_rules_of_the_engine_are_no_rules_of_others(rule: str) -> None:
    probes = {
        "docker_networks": {"out": "mail\tbridge\t\t\teeeeeeeeeeee00\n"},
        "docker_bridges": {"out": "eeeeeeeeeeee00 br-mailcow\n"},
        "interfaces": {"out": "eth0\nbr-mailcow\n"},
    }
    host = snapshot(before_docker=f"-A FORWARD {rule}\n", probes=probes)
    assert foreign_rules(host.firewall, SETTINGS) == ()


def test_no_advice_takes_ssh_away() -> None:
    """The rule that accepts everything is also the one that accepts SSH: ufw does not."""
    saved = RECORDED["probes"]["iptables_save"]["out"]
    saved = saved.replace(
        UFW, f"-A INPUT -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\n{UFW}"
    )
    host = snapshot(probes={"iptables_save": {"out": saved + NAT}})
    finding = findings(host)["firewall.foreign"]
    assert finding.status.value == "fail"
    assert "iptables -D" not in finding.fix
    assert "SSH" in finding.fix
