"""The parsers for ufw and iptables: recorded, equivalent, and damaged outputs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.firewall.journey import Ruleset
from gpuhost.domain.firewall.listeners import (
    parse_ss,
    ssh_ports,
)
from gpuhost.domain.firewall.nftables import NftTable, parse_nft_tables, parse_rule
from gpuhost.domain.firewall.packet import Packet
from gpuhost.domain.firewall.published import fault
from gpuhost.domain.firewall.rule import FirewallRule
from gpuhost.domain.firewall.sockets import parse_published
from gpuhost.domain.firewall.tables import Chain, Tables, options
from gpuhost.domain.firewall.ufw import UfwRule, parse_kernel, parse_user_rules
from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from tests.firewall.rehash import RECORDING, with_current_hashes

RECORDED: dict[str, Any] = yaml.safe_load(RECORDING.read_text("utf-8"))


def test_the_recording_has_the_hashes_of_the_current_files() -> None:
    text = RECORDING.read_text("utf-8")
    assert with_current_hashes(text) == text, "run python -m tests.firewall.rehash"


def rule(text: str, family: int = 4) -> FirewallRule:
    return FirewallRule.parse(text).in_family(4 if family == 4 else 6)


TUPLES = [
    ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", "allow", ("22/tcp",), None),
    ("limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", "limit", ("22/tcp",), None),
    ("deny_log udp 53 0.0.0.0/0 any 10.1.0.1 in", "deny", ("53/udp from 10.1.0.1",), None),
    ("allow any any 0.0.0.0/0 any 0.0.0.0/0 in_wg0", "allow", ("from 0.0.0.0/0",), "wg0"),
    (
        "allow tcp 80,443,8000:8100 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in",
        "allow",
        ("80/tcp", "443/tcp", "8000:8100/tcp"),
        None,
    ),
    ("allow tcp 80 10.9.9.9 any 0.0.0.0/0 in", "allow", (), None),
    ("allow tcp 80 0.0.0.0/0 1024 0.0.0.0/0 in", "allow", (), None),
    ("allow esp any 0.0.0.0/0 any 0.0.0.0/0 in", "allow", (), None),
]


@pytest.mark.parametrize(("line", "action", "matches", "interface"), TUPLES)
def test_rules_of_ufw(
    line: str, action: str, matches: tuple[str, ...], interface: str | None
) -> None:
    (parsed,) = parse_user_rules(f"### tuple ### {line}\n-A ufw-user-input -j ACCEPT\n", 4)
    assert (parsed.action, parsed.interface) == (action, interface)
    assert parsed.matches == tuple(map(rule, matches))


@pytest.mark.parametrize(
    "line",
    [
        "allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 out",
        "route:allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in_eth0!out_eth1",
        "allow tcp",
        "",
    ],
)
def test_rules_that_allow_nothing_are_ignored(line: str) -> None:
    assert parse_user_rules(f"### tuple ### {line}\n", 4) == ()


def test_a_comment_shows_the_owner_of_a_rule() -> None:
    text = RECORDED["files"]["/etc/ufw/user.rules"]
    comments = [rule.comment for rule in parse_user_rules(text, 4)]
    assert comments == [*["gpuhost-containers"] * 2, "gpuhost-ssh", "gpuhost", "gpuhost"]


def test_rules_of_the_kernel_equal_rules_of_the_files() -> None:
    for family, name, path in (
        (4, "iptables_save", "user.rules"),
        (6, "ip6tables_save", "user6.rules"),
    ):
        tables = Tables.parse(RECORDED["probes"][name]["out"])
        version: Any = family
        chain = tables.chain("ufw-user-input" if family == 4 else "ufw6-user-input")
        live = parse_kernel(chain, version)
        kept = parse_user_rules(RECORDED["files"][f"/etc/ufw/{path}"], version)
        assert [(r.matches, r.interface) for r in live] == [(r.matches, r.interface) for r in kept]
        assert len(live) >= 5


def test_a_limit_allows_too() -> None:
    lines = (
        "-p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name DEFAULT",
        "-p tcp -m tcp --dport 22 -j ufw-user-limit-accept",
    )
    assert [parsed.matches for parsed in parse_kernel(Chain("-", lines), 4)] == [(rule("22/tcp"),)]


SPELLINGS = [
    ("-s 10.0.0.1/32 -p tcp -m conntrack --ctorigdstport 80 -j RETURN",) * 2,
    ("-p tcp -s 10.0.0.1 -m conntrack --ctorigdstport 80 -j RETURN",
     "-s 10.0.0.1/32 -p tcp -m tcp -m conntrack --ctorigdstport 80 -j RETURN"),
    ("-s 2001:db8::1 -j DROP", "-s 2001:db8::1/128 -j DROP"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_one_rule_are_equal(one: str, other: str) -> None:
    assert options(one) == options(other)


def test_a_negation_is_another_rule() -> None:
    assert options("! -i eth0 -j DROP") != options("-i eth0 -j DROP")
    assert options("-s 10.0.0.0/8 -j DROP") != options("-s 10.0.0.0/9 -j DROP")


TAMPERED = [
    ("-A FORWARD -j DOCKER-USER\n", "", "FORWARD does not lead to DOCKER-USER"),
    ("-A DOCKER-USER -j GPUHOST-PUBLISHED\n", "", "DOCKER-USER does not lead"),
    ("-A GPUHOST-ALLOWED -o br-+ -j DROP\n", "", "GPUHOST-ALLOWED differs"),
    ("--ctorigdstport 8080 -j RETURN", "--ctorigdstport 8081 -j RETURN", "GPUHOST-ALLOWED differs"),
    ("-A GPUHOST-PUBLISHED -i docker+ -j RETURN\n", "", "GPUHOST-PUBLISHED differs"),
]


@pytest.mark.parametrize(("line", "instead", "says"), TAMPERED)
def test_the_kernel_against_the_file(line: str, instead: str, says: str) -> None:
    saved = RECORDED["probes"]["iptables_save"]["out"]
    expected = RECORDED["files"]["/etc/gpuhost/firewall/published.v4"]
    assert fault(expected, Tables.parse(saved)) == ""
    assert line in saved
    assert says in fault(expected, Tables.parse(saved.replace(line, instead)))


def test_tables_that_only_nftables_shows() -> None:
    listed = "table ip filter\ntable ip6 nat\ntable inet filter\ntable ip docker-bridges\n"
    assert [table.name for table in parse_nft_tables(listed)] == ["inet filter"]


junk = st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("utf-8", "replace")))


WORDS = """
! -s -d -i -o -p -m -j -g tcp udp 10.0.0.0/33 ::1/200 10.0.0.0/8 fd00::/8 eth0 + --dport --dports
--sport 99999 a:b : 80: 22,80 --tcp-flags SYN,ACK SYN --ctstate NEW --match-set src x --mark 0x/
--comment --limit ACCEPT DROP RETURN DNAT REDIRECT MARK CT --notrack --to-destination [::1]:80
--to-ports 80-90 a dport saddr ip ip6 meta l4proto ct state vmap { } , @x != iifname "e*" fib
daddr type local accept drop jump goto limit rate over 3/minute log prefix counter icmp comment
"""
rules_of_words = st.lists(st.sampled_from(WORDS.split()) | junk, max_size=8).map(" ".join)


@given(rules_of_words, rules_of_words, st.sampled_from([4, 6]))
def test_any_rule_can_be_walked(one: str, other: str, family: Any) -> None:
    rules = [f"-A {chain} {r}" for chain in ("PREROUTING", "INPUT", "a") for r in (one, other)]
    chains = [":PREROUTING ACCEPT [0:0]", f":INPUT {one} [0:0]", ":a - [0:0]", *rules]
    saved = "\n".join("\n".join([f"*{table}", *chains]) for table in ("raw", "nat", "filter"))
    nft = (
        f"table inet x {{\n\tchain a {{\n\t\t{other}\n\t}}\n\tchain i {{\n"
        f"\t\ttype filter hook input priority 0; policy drop;\n\t\t{one}\n"
    )
    ruleset = Ruleset(family, (Tables.parse(saved),), parse_nft_tables(nft))
    for packet in (Packet(family, "tcp", 80), Packet(family, "udp", 80, interface="eth0")):
        assert ruleset.outcome(packet).rule


@given(junk, st.sampled_from([4, 6]))
def test_no_text_makes_a_parser_raise(text: str, family: Any) -> None:
    tuples = parse_user_rules(f"{text}\n### tuple ### {text}", family)
    rules = (*tuples, *parse_kernel(Chain("-", (text, f"-p tcp {text} -j ACCEPT")), family))
    assert all(isinstance(rule, UfwRule) for rule in rules)
    assert isinstance(options(text), frozenset)
    assert isinstance(fault(text, Tables.parse(f"*filter\n{text}")), str)
    listed = parse_nft_tables(f"table inet filter {{\n\tchain input {{\n{text}")
    assert all(isinstance(table, NftTable) for table in listed)
    assert parse_rule(text).text == text
    listeners = (*parse_ss(text), *parse_ss(f"tcp LISTEN 0 0 {text}:22 *:* {text}"))
    assert all(0 <= listener.port < 10**5 for listener in listeners)
    assert all(port.container == "web" for port in parse_published(text, "web"))
    ports = ssh_ports(text, f"Id=ssh.socket\nActiveState=active\n{text}", text, [])
    assert all(0 < port < 10**5 for port in ports)


PROBES = (
    "files", "packages", "units", "listeners", "interfaces", "sshd", "ssh_connection",
    "iptables_save", "ip6tables_save", "nft_tables", "iptables_other", "addresses",
    "listeners_other", "docker_networks",
)  # fmt: skip


@given(st.data())
def test_no_reading_raises_anything_but_not_read(data: st.DataObject) -> None:
    """Any probe can be truncated, timed out, failed, or garbage."""
    made = {}
    for name in PROBES:
        whole = str(RECORDED["probes"].get(name, {}).get("out", ""))
        rc = data.draw(st.sampled_from([0, 0, 1, 127, None]), label=f"{name} rc")
        cut = data.draw(st.integers(0, len(whole)), label=f"{name} cut")
        made[name] = Probe(rc, whole[:cut] + data.draw(junk, label=name))
    try:
        assert Snapshot(Probes(made)).firewall.kernel is not None
    except NotRead as reason:
        assert str(reason)
