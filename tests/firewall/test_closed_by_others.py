"""Rules of others that close a declared port or SSH, and those that only seem to."""

from __future__ import annotations

import pytest

from tests.firewall.closed_host import CHAIN, HEALTHY, NAT, Case, wrong
from tests.firewall.test_reading import RECORDED

ORACLE = """\
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
"""
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
def test_what_rules_of_others_close(case: Case) -> None:
    assert wrong(case) == {}
