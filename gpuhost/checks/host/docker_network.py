"""The network of containers."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.docker_network import (
    addressless,
    bridge_disabled_by,
    forwarding_disabled_by,
    is_forwarding_at_boot,
    masquerading_disabled_by,
    not_forwarding,
    too_large,
)
from gpuhost.plans.docker_ways import (
    LAST_RESORT,
    has_no_way_out,
    in_china,
    lost_rules,
    without_servers,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.engine import Engine
from gpuhost.snapshot.sysctl import IP_FORWARD

NO_WAY_OUT = (
    "the host has no default route of IPv4, so containers reach only its own networks; for IPv6, "
    'set "ipv6": true in daemon.json'
)
EXPECTED = "the kernel forwards, and the engine makes its rules"


@check("docker.network", "Containers reach other machines, now and after the next boot.")
def network(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    if disabled := masquerading_disabled_by(snapshot):
        return fail(
            EXPECTED,
            "containers reach no other machine: the engine makes no rules, and none masquerades",
            evidence=disabled.source,
            fix=f"{disabled.removal}; to limit published ports, use firewall_allow",
        )
    if lost := lost_rules(snapshot):
        return fail(
            EXPECTED,
            f"the engine's rules are gone from {' and '.join(lost)}: containers lose their "
            "network, and new ones do not start",
            evidence="something has emptied the tables since the engine started: iptables -F, "
            "nftables.service (flush ruleset), netfilter-persistent, csf, a firewall script",
            fix=f"{AGAIN}, or systemctl restart docker; then make that program leave the tables of "
            "others alone",
        )
    if bridge := addressless(snapshot):
        return fail(
            "containers' bridge has an address",
            f"containers have no network: {bridge} has lost its address",
            evidence="systemd-networkd and NetworkManager take it, if they manage it",
            fix="networkctl; nmcli device: let them leave docker0, br-* and veth* unmanaged, then "
            "systemctl restart docker",
        )
    if disabled := bridge_disabled_by(snapshot):
        built = warn(
            EXPECTED,
            "images are built without a network",
            evidence=disabled.source,
            fix=disabled.removal,
        )
    else:
        built = _names(snapshot, settings)
    return _forwarding(snapshot, snapshot.docker.engine) or built


def _names(snapshot: Snapshot, settings: Settings) -> Verdict:
    """A network without a way to the internet may be meant so: it is no fault by itself."""
    notes = [NO_WAY_OUT] if has_no_way_out(snapshot) else []
    notes += [packets] if (packets := _packets(snapshot)) else []
    if not (own := without_servers(snapshot)):
        return ok(EXPECTED, evidence="; ".join(notes))
    actual = (
        f"builds and containers of the default bridge ask {LAST_RESORT}: they reach none of the "
        f"host's own name servers ({own})"
    )
    fix = f'set "dns": ["ADDRESS"] in {DAEMON_JSON}, then systemctl restart docker'
    if in_china(settings):
        expected = "name servers that containers reach"
        notes.append("from China these servers often do not answer")
        return warn(expected, actual, evidence="; ".join(notes), fix=fix)
    return ok(EXPECTED, evidence="; ".join([*notes, f"{actual}; if that is not wanted, {fix}"]))


def _packets(snapshot: Snapshot) -> str:
    """Many networks make up for it, so it is no fault by itself."""
    packet = too_large(snapshot)
    if packet is None:
        return ""
    return (
        f"containers send {packet.mtu} bytes, and {packet.interface} takes {packet.fits}: if their "
        f'connections hang, set "mtu": {packet.fits} in {DAEMON_JSON}, and for the networks of '
        'Compose "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": '
        f'"{packet.fits}"}}}}, then systemctl restart docker'
    )


def _forwarding(snapshot: Snapshot, engine: Engine) -> Verdict | None:
    lines = ", ".join(map(str, not_forwarding(snapshot)))
    disabled = forwarding_disabled_by(snapshot)
    source = disabled.source if disabled else ""
    fixes = [f"delete {lines}, or set it to 1"] if lines else []
    fixes += [disabled.removal] if disabled else []
    fix, boot = "; ".join(fixes), "after the next boot containers"
    if not engine.forwards:
        actual = f"containers have no network: {IP_FORWARD} is 0"
        causes = f"set by {lines}" if lines else source
        fix = "; ".join([*fixes, f"sysctl -w {IP_FORWARD}=1"])
        return fail(EXPECTED, actual, evidence=causes, fix=fix)
    if lines and source:
        actual = f"{boot} have no network: {lines} sets {IP_FORWARD} to 0, and the engine leaves it"
        return fail(EXPECTED, actual, evidence=source, fix=fix)
    if lines:
        actual = f"{lines} sets {IP_FORWARD} to 0: the engine sets it to 1 when it starts, and"
        actual += " containers lose their network whenever the file is applied again"
        return warn(EXPECTED, actual, fix=fix)
    if source and not is_forwarding_at_boot(snapshot):
        actual = (
            f"{boot} may have no network: no file of sysctl.d sets {IP_FORWARD}, nor the engine"
        )
        return warn(EXPECTED, actual, evidence=source, fix=fix)
    return None
