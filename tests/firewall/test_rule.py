"""Entries of firewall_allow: their meaning, and the error for invalid ones."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.firewall.published import Bridges, render
from gpuhost.domain.firewall.rule import FirewallRule, Protocol
from gpuhost.domain.firewall.ufw import arguments

MEANINGS = [
    ("80", "80", ["from any to any port 80"]),
    ("80/tcp", "80/tcp", ["proto tcp from any to any port 80"]),
    (" 53/udp ", "53/udp", ["proto udp from any to any port 53"]),
    ("7:7/tcp", "7/tcp", ["proto tcp from any to any port 7"]),
    ("8000:8100/tcp", "8000:8100/tcp", ["proto tcp from any to any port 8000:8100"]),
    (
        "8000:8100",
        "8000:8100",
        [
            "proto tcp from any to any port 8000:8100",
            "proto udp from any to any port 8000:8100",
        ],
    ),
    (
        "3000/tcp from 10.0.0.0/8",
        "3000/tcp from 10.0.0.0/8",
        ["proto tcp from 10.0.0.0/8 to any port 3000"],
    ),
    ("from  10.0.0.1", "from 10.0.0.1/32", ["from 10.0.0.1/32 to any"]),
    ("22 from 2001:db8::/32", "22 from 2001:db8::/32", ["from 2001:db8::/32 to any port 22"]),
    (
        "1/tcp from 10.0.0.0/255.0.0.0",
        "1/tcp from 10.0.0.0/8",
        ["proto tcp from 10.0.0.0/8 to any port 1"],
    ),
]


@pytest.mark.parametrize(("text", "canonical", "ufw"), MEANINGS)
def test_an_entry_and_the_commands_for_it(text: str, canonical: str, ufw: list[str]) -> None:
    rule = FirewallRule.parse(text)
    assert str(rule) == canonical
    assert FirewallRule.parse(canonical) == rule
    assert list(arguments(rule)) == ufw


MISTAKES = [
    ("", 'write "80/tcp"'),
    ("ssh", "'ssh' is not a port number"),
    ("80/icmp", "not a protocol: tcp or udp"),
    ("80/TCP", "not a protocol"),
    ("8000-8100/tcp", '"8000:8100/tcp"'),
    ("0", "ports are 1 to 65535"),
    ("70000/tcp", "ports are 1 to 65535"),
    ("9:3/tcp", 'the wrong way round: write "3:9"'),
    ("80/tcp from", "is not a rule"),
    ("80/tcp from any", 'leave out "from any"'),
    ("80/tcp from example.com", "'example.com' is not a network"),
    ("80/tcp from 10.1.1.1/8", 'write "from 10.0.0.0/8"'),
    ("80/tcp from 10.0.0.0/33", "is not a network"),
    ("80 from fe80::1%eth0", "is not a rule"),
    ("80/tcp,443/tcp", "not a protocol"),
    ("80; reboot", "is not a rule"),
    ("٣/tcp", "is not a port number"),
    ("80/tcp to 10.0.0.0/8", "is not a rule"),
]


@pytest.mark.parametrize(("text", "says"), MISTAKES)
def test_an_error_is_one_line(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        FirewallRule.parse(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()


ports = st.integers(1, 65535)
networks = st.one_of(
    st.none(),
    st.ip_addresses(v=4).map(lambda a: ip_network(f"{a}/16", strict=False)),
    st.ip_addresses(v=6).map(lambda a: ip_network(f"{a}/48", strict=False)),
)
protocols: st.SearchStrategy[Protocol | None] = st.sampled_from(["tcp", "udp", None])
rules = st.builds(
    lambda a, b, protocol, source: FirewallRule(min(a, b), max(a, b), protocol, source),
    ports,
    ports,
    protocols,
    networks,
)


@given(rules)
def test_a_formatted_entry_parses_to_the_same_rule(rule: FirewallRule) -> None:
    assert FirewallRule.parse(str(rule)) == rule
    assert rule.covers(rule)


@given(rules, rules)
def test_rules_that_cover_each_other_are_equal(one: FirewallRule, other: FirewallRule) -> None:
    if one.covers(other) and other.covers(one):
        assert one == other


@given(st.text())
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    try:
        assert FirewallRule.parse(str(FirewallRule.parse(text)))
    except ValueError as error:
        assert "\n" not in str(error)


COVERING = [
    ("80", "80/tcp", True),
    ("80/tcp", "80", False),
    ("1:100/tcp", "80/tcp", True),
    ("80/tcp", "80/tcp from 10.0.0.0/8", True),
    ("80/tcp from 10.0.0.0/8", "80/tcp from 10.1.0.0/16", True),
    ("80/tcp from 10.0.0.0/8", "80/tcp", False),
    ("80/tcp from 10.0.0.0/8", "80/tcp from 2001:db8::/32", False),
    ("from 10.0.0.0/8", "80/tcp from 10.0.0.1", True),
    ("80/tcp from 10.0.0.0/8", "from 10.0.0.0/8", False),
]


@pytest.mark.parametrize(("wide", "narrow", "covers"), COVERING)
def test_one_rule_covers_another(wide: str, narrow: str, covers: bool) -> None:
    assert FirewallRule.parse(wide).covers(FirewallRule.parse(narrow)) is covers


def test_a_source_of_one_version_of_ip_is_in_that_file_only() -> None:
    rule = FirewallRule.parse("3000/tcp from 10.0.0.0/8")
    line = "-A GPUHOST-ALLOWED -s 10.0.0.0/8 -p tcp -m conntrack --ctorigdstport 3000 -j RETURN"
    assert line in render([rule], Bridges(), 4).splitlines()
    assert "3000" not in render([rule], Bridges(), 6)


def test_all_ports_for_a_network() -> None:
    rule = FirewallRule.parse("from 10.0.0.0/8")
    assert "-A GPUHOST-ALLOWED -s 10.0.0.0/8 -j RETURN" in render([rule], Bridges(), 4).splitlines()


def test_a_bridge_of_the_host() -> None:
    lines = render([], Bridges(foreign=("br-lan",)), 4).splitlines()
    outside, containers = (
        lines.index("-A GPUHOST-PUBLISHED -i br-lan -g GPUHOST-ALLOWED"),
        lines.index("-A GPUHOST-PUBLISHED -i br-+ -j RETURN"),
    )
    assert outside < containers
    forwarded, closed = (
        lines.index("-A GPUHOST-ALLOWED -o br-lan -j RETURN"),
        lines.index("-A GPUHOST-ALLOWED -o br-+ -j DROP"),
    )
    assert forwarded < closed
