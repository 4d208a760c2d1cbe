"""The parsers for ufw, iptables, ss and sshd: recorded, equivalent, and damaged outputs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.firewall.journey import Ruleset
from gpuhost.domain.firewall.listeners import (
    Listener,
    parse_ss,
    ssh_ports,
)
from gpuhost.domain.firewall.nftables import NftTable, parse_nft_tables, parse_rule
from gpuhost.domain.firewall.packet import Packet
from gpuhost.domain.firewall.published import Bridges, fault
from gpuhost.domain.firewall.rule import FirewallRule
from gpuhost.domain.firewall.sockets import parse_published
from gpuhost.domain.firewall.tables import Chain, Tables, options
from gpuhost.domain.firewall.ufw import UfwRule, parse_kernel, parse_user_rules
from gpuhost.plans.firewall import change
from gpuhost.plans.firewall_in_use import published_ports
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from tests.firewall.rehash import RECORDING, with_current_hashes
from tests.recorded import snapshot_of

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


BRIDGES: list[tuple[tuple[str, ...], str, str | None, tuple[str, ...], tuple[str, ...]]] = [
    (
        ("docker0",),
        "lo eth0 docker0 docker_gwbridge br-0123456789ab",
        "eth0",
        (),
        ("docker+", "br-+"),
    ),
    # mailcow's network names its bridge; so do others, and `dockerd -b`.
    (("docker0", "br-mailcow"), "eth0 br-mailcow", "eth0", (), ("docker+", "br-+")),
    (("lan0", "mail"), "eth0 lan0 mail", "eth0", (), ("docker+", "br-+", "lan0", "mail")),
    # A bridge of the host's own: the pattern would open it, so each of the engine's is named.
    (
        ("docker0", "br-0123456789ab", "br-mailcow"),
        "br-0123456789ab br-lan br-mailcow",
        "eth0",
        ("br-lan",),
        ("docker+", "br-0123456789ab", "br-mailcow"),
    ),
    ((), "br-ex br-lan", None, ("br-ex", "br-lan"), ("docker+",)),
    # Docker on the bridge through which other machines come in.
    (("br0",), "br0 eth0", "br0", (), ("docker+", "br-+")),
    (("br-ex",), "br-ex eth0", "br-ex", ("br-ex",), ("docker+",)),
    (("a name", "-x;reboot"), "eth0", "eth0", (), ("docker+", "br-+")),
]


@pytest.mark.parametrize(("own", "interfaces", "outside", "foreign", "trusted"), BRIDGES)
def test_bridges_are_the_engines_or_the_hosts_own(
    own: tuple[str, ...],
    interfaces: str,
    outside: str | None,
    foreign: tuple[str, ...],
    trusted: tuple[str, ...],
) -> None:
    bridges = Bridges.of(own, interfaces.split(), outside)
    assert bridges.foreign == foreign
    assert bridges.trusted == trusted


def test_an_engine_that_does_not_run_takes_no_rule_away() -> None:
    """Its bridges stay, but nobody says that they are its own."""
    probes = {"interfaces": {"out": "eth0\ndocker0\nbr-mailcow\n"}}
    stopped = {**probes, "docker_networks": None}
    assert (
        snapshot_of({"host": "firewall-guarded", "probes": stopped}).firewall.bridges.foreign == ()
    )
    fresh = {"host": "firewall-used", "probes": stopped}
    assert snapshot_of(fresh).firewall.bridges.foreign == ("br-mailcow",)


def test_bridges_of_an_engine_that_does_not_answer_stay_allowed() -> None:
    """A name that only the engine gave: without it, the rules for it must not be removed."""
    tuples = {
        f"/etc/ufw/user{six}.rules": RECORDED["files"][f"/etc/ufw/user{six}.rules"]
        + f"### tuple ### allow any any {anywhere} any {anywhere} in_mailnet0"
        f" comment={b'gpuhost-containers'.hex()}\n"
        for six, anywhere in (("", "0.0.0.0/0"), ("6", "::/0"))
    }
    silent = {"rc": 1, "out": "", "err": "Cannot connect to the Docker daemon"}
    probes = {"docker_networks": silent, "docker_containers": silent, "docker_info": silent}
    firewall = snapshot_of({"host": "firewall-guarded", "files": tuples, "probes": probes}).firewall
    assert firewall.bridges.own == ("mailnet0",)
    assert "on mailnet0" not in change(firewall, Settings())


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
