"""Rules of others that open a port, or everything, and those that only seem to."""

from __future__ import annotations

import pytest

from gpuhost.plans.firewall_in_use import foreign_rules
from tests.firewall.closed_host import (
    CHAIN,
    HEALTHY,
    NAT,
    SETTINGS,
    UFW,
    Case,
    findings,
    snapshot,
    wrong,
)
from tests.firewall.test_reading import RECORDED

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
CASES = [
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
        "everything is accepted in ufw's before.rules",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        (
            "not in force: iptables: ufw-before-input -j ACCEPT (every port)",
            "delete it from /etc/ufw/before.rules, then sudo ufw reload",
        ),
        {"in_ufw": "-A ufw-before-input -j ACCEPT"},
    ),
    Case(
        "one port is accepted in ufw's before.rules",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("ufw-before-input -p tcp -m tcp --dport 9999 -j ACCEPT (9999/tcp)",),
        {"in_ufw": "-A ufw-before-input -p tcp -m tcp --dport 9999 -j ACCEPT"},
    ),
    Case(
        "ufw's chain has a rule that ufw does not show",
        {"firewall.reached": "ok", "firewall.foreign": "warn"},
        ("ufw-user-input -p tcp -m tcp --dport 9999 -j ACCEPT (9999/tcp)",),
        {"in_ufw": "-A ufw-user-input -p tcp -m tcp --dport 9999 -j ACCEPT"},
    ),
    Case(
        "ufw allow 1:65535/tcp",
        {"firewall.reached": "ok", "firewall.foreign": "fail"},
        ("not in force: iptables: ufw-user-input -p tcp -m tcp --dport 1:65535 -j ACCEPT (every",),
        {"in_ufw": "-A ufw-user-input -p tcp -m tcp --dport 1:65535 -j ACCEPT"},
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
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_rules_of_others_open(case: Case) -> None:
    assert wrong(case) == {}


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
