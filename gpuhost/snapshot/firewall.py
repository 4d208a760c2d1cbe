"""The firewall in its files and in the kernel, and the ports behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from shlex import quote

from gpuhost.domain.firewall.journey import Ruleset
from gpuhost.domain.firewall.listeners import Listener, may_be_a_client, parse_ss, ssh_ports
from gpuhost.domain.firewall.packet import Address
from gpuhost.domain.firewall.published import CONTAINERS, CONTAINERS_COMMENT, RULES, Bridges
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Tables
from gpuhost.domain.firewall.ufw import USER_RULES, UfwRule, parse_user_rules
from gpuhost.snapshot.netfilter import Netfilter, Outside
from gpuhost.snapshot.networks import Networks
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.ports import LISTENERS
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_units

UFW_DEFAULTS = "/etc/default/ufw"
UFW_CONF = "/etc/ufw/ufw.conf"
# Rules that ufw loads around its own; ufw-docker adds its block to after.rules.
UFW_EXTRA = tuple(
    f"/etc/ufw/{when}{six}.rules" for when in ("before", "after") for six in ("", "6")
)
# Runs at the end of every start and reload of ufw, if it is executable (ufw-framework(8)).
AFTER_INIT = "/etc/ufw/after.init"
# What netfilter-persistent loads at boot.
BOOT_RULES = ("/etc/iptables/rules.v4", "/etc/iptables/rules.v6")
# Other firewalls: those that run, and those whose unit loads rules at boot, before or after ufw.
RUNNING_RIVALS = (
    *("firewalld.service", "shorewall.service", "shorewall6.service", "ferm.service"),
    *("csf.service", "lfd.service", "apf.service", "firehol.service", "foomuuri.service"),
    *("shorewall-lite.service", "shorewall6-lite.service", "arno-iptables-firewall.service"),
)
LOADING_RIVALS = (
    *("nftables.service", "netfilter-persistent.service", "iptables.service"),
    "hestia-iptables.service",
)
REVERTED_FILE = "/var/lib/gpuhost/firewall/reverted"
PENDING = "/var/lib/gpuhost/firewall/pending"
# Raw, SCTP and DCCP sockets; newer ss has no DCCP.
OTHER_LISTENERS = "ss -HlnpwSd || ss -HlnpwS"
# Of ephemeral ports, and some others.
MAY_HAVE_CLIENTS = "grep -qE '^udp .*:[0-9]{5} ' \"$work/listeners.out\" 2>/dev/null"
HAS_OTHER = (
    "[ -e /proc/net/sctp ] || [ -e /proc/sys/net/dccp ]"
    " || grep -q '^ *[0-9][0-9]*: ' /proc/net/raw /proc/net/raw6 2>/dev/null"
)
DOCKER_USER_FILLED = re.compile(r"^(:|-[AIF] )DOCKER-USER\b", re.MULTILINE)
EPOCH = re.compile(r"[0-9]{1,11}")
REQUEST = Request(
    files=(
        *(UFW_DEFAULTS, UFW_CONF, REVERTED_FILE, AFTER_INIT),
        *(*UFW_EXTRA, *BOOT_RULES, *USER_RULES.values(), *RULES.values()),
    ),
    packages=("ufw",),
    units=("ufw.service", *RUNNING_RIVALS, *LOADING_RIVALS),
    plain=(PENDING, AFTER_INIT),
    probes=(
        ProbeCommand("interfaces", "ls /sys/class/net", at_once=True),
        ProbeCommand("listeners_other", f"sh -c {quote(OTHER_LISTENERS)}", only_if=HAS_OTHER),
        # A socket that no longer exists at the second reading belonged to a client.
        ProbeCommand(
            "listeners_again", LISTENERS.command, only_if=MAY_HAVE_CLIENTS, last=True, absent=None
        ),
    ),
)


@dataclass(frozen=True)
class Ufw:
    """ufw's own configuration.

    + enabled: enabled in its file; the kernel may still not have its rules
    + incoming: the default policy: drop, reject or accept
    + owns_tables: MANAGE_BUILTINS: it empties every table, also of Docker's rules
    """

    installed: bool
    enabled: bool
    at_boot: bool
    ipv6: bool
    incoming: str
    owns_tables: bool
    rules: Mapping[Family, tuple[UfwRule, ...]]


@dataclass(frozen=True)
class Firewall:
    """Everything that decides which connections may come in.

    + kernel: the tables per version of IP; no 6 if the kernel has no IPv6
    + rulesets: every rule that a packet from outside meets; outside: where it comes in
    + nft_tables: tables of nftables that iptables does not show, such as "inet filter"
    + published: our files with the rules for published ports; None: no file
    + ssh_ports: where SSH listens; login_client: where this login comes from, None: unknown
    + docker_user: files of ufw that fill DOCKER-USER at every reload, such as ufw-docker's
    + after_init: /etc/ufw/after.init; None: no file
    + boot_rules: the files of netfilter-persistent, by path
    + bridges: those of containers, and those with names like them that are not Docker's
    + undone: time of the last revert of an unconfirmed change, epoch seconds
    """

    ufw: Ufw
    kernel: Mapping[Family, Tables]
    rulesets: Mapping[Family, Ruleset]
    outside: Outside
    nft_tables: tuple[str, ...]
    published: Mapping[Family, str | None]
    units: Mapping[str, Unit]
    listeners: tuple[Listener, ...]
    ssh_ports: tuple[int, ...]
    login_client: Address | None
    docker_user: tuple[str, ...]
    after_init: str | None
    boot_rules: Mapping[str, str]
    bridges: Bridges
    undone: int | None

    @classmethod
    def read(cls, probes: Probes) -> Firewall:
        units = read_units(probes)
        netfilter = Netfilter.read(probes)
        ufw = _ufw(probes, units)
        listeners = _lasting(probes)
        undone = (probes.file(REVERTED_FILE) or "").strip()
        return cls(
            ufw=ufw,
            kernel=netfilter.kernel,
            rulesets=netfilter.rulesets,
            outside=netfilter.outside,
            nft_tables=tuple(table.name for table in netfilter.nft),
            published={family: probes.file(path) for family, path in RULES.items()},
            units=units,
            listeners=listeners,
            ssh_ports=tuple(_ssh_ports(probes, listeners)),
            login_client=_login_client(probes.get("ssh_connection").out),
            docker_user=tuple(p for p in UFW_EXTRA if DOCKER_USER_FILLED.search(_text(probes, p))),
            after_init=probes.file(AFTER_INIT),
            boot_rules={path: _text(probes, path) for path in BOOT_RULES},
            bridges=_bridges(probes, ufw, netfilter.outside.interface),
            undone=int(undone) if EPOCH.fullmatch(undone) else None,
        )


def _ufw(probes: Probes, units: Mapping[str, Unit]) -> Ufw:
    defaults = _assignments(probes.file(UFW_DEFAULTS) or "")
    conf = _assignments(probes.file(UFW_CONF) or "")
    return Ufw(
        installed="ufw" in installed_packages(probes),
        enabled=conf.get("ENABLED") == "yes",
        at_boot="ufw.service" in units and units["ufw.service"].enabled,
        ipv6=defaults.get("IPV6") == "yes",
        incoming=defaults.get("DEFAULT_INPUT_POLICY", ""),
        owns_tables=defaults.get("MANAGE_BUILTINS") == "yes",
        rules={
            family: parse_user_rules(probes.file(path) or "", family)
            for family, path in USER_RULES.items()
        },
    )


def _bridges(probes: Probes, ufw: Ufw, outside: str | None) -> Bridges:
    """If the engine does not say which are its own, what was allowed stays so."""
    interfaces = probes.output("interfaces").split()
    try:
        own = Networks.read(probes).bridges
    except NotRead:
        own = ()
    if not own:
        allowed = [r.interface for r in ufw.rules[4] if r.interface and r.lets_in]
        ours = [r.interface for r in ufw.rules[4] if r.comment == CONTAINERS_COMMENT]
        own = tuple(name for name in ours if name and name not in CONTAINERS)
        if CONTAINERS[1] in allowed:
            interfaces = [name for name in interfaces if name == outside]
    return Bridges.of(own, interfaces, outside)


def _assignments(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {
        key.strip(): value.strip().strip("\"'").lower() for key, equals, value in pairs if equals
    }


def _lasting(probes: Probes) -> tuple[Listener, ...]:
    """The listening sockets, without those of clients that were closed a moment later."""
    listeners = parse_ss(probes.output("listeners"))
    if "listeners_again" in probes:
        again = parse_ss(probes.output("listeners_again"))
        listeners = tuple(x for x in listeners if x in again or not may_be_a_client(x))
    if "listeners_other" in probes:
        listeners += parse_ss(probes.output("listeners_other"))
    return listeners


def _ssh_ports(probes: Probes, listeners: tuple[Listener, ...]) -> list[int]:
    sshd, units, connection = (probes.get(n).out for n in ("sshd", "units", "ssh_connection"))
    return ssh_ports(sshd, units, connection, listeners)


def _login_client(connection: str) -> Address | None:
    """The client of SSH_CONNECTION: client, port, server, port."""
    try:
        return ip_address(connection.split()[0].partition("%")[0])
    except (ValueError, IndexError):
        return None


def _text(probes: Probes, path: str) -> str:
    return probes.file(path) or ""
