"""Whether containers reach other machines: the kernel forwards, and something masquerades."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.plans.docker_flags import EngineSetting, disabled_by, engine_setting
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.networks import DEFAULT_BRIDGE
from gpuhost.snapshot.sysctl import FORWARDING, Assignment

DEFAULT_MTU = 1500
MASQUERADING = re.compile(r"-j (MASQUERADE|SNAT)\b|\b(masquerade|snat)\b")


def not_forwarding(snapshot: Snapshot) -> list[Assignment]:
    """The lines that stop forwarding at boot, with `sysctl --system`, or when ufw starts."""
    lines = [snapshot.sysctl.at_boot(key) for key in FORWARDING]
    lines += [line for line in snapshot.sysctl.of_ufw if line.key in FORWARDING]
    return [line for line in lines if line and line.value == "0"]


def is_forwarding_at_boot(snapshot: Snapshot) -> bool:
    """Whether a file makes the kernel forward, also where the engine does not."""
    lines = [snapshot.sysctl.at_boot(key) for key in FORWARDING]
    return any(line and line.value != "0" for line in lines)


def forwarding_disabled_by(snapshot: Snapshot) -> EngineSetting | None:
    """What keeps dockerd from switching forwarding on, as it does when it starts; None: nothing."""
    return disabled_by(snapshot, "ip-forward")


def masquerading_disabled_by(snapshot: Snapshot) -> EngineSetting | None:
    """What keeps dockerd from making rules. None: nothing does, or other rules masquerade.

    (docs.docker.com/engine/network/packet-filtering-firewalls: without rules no way back is known.)
    """
    setting = disabled_by(snapshot, "iptables")
    if setting is None:
        return None
    ruleset = snapshot.firewall.rulesets[4]
    rules = [rule for backend in ruleset.backends for _, _, rule in backend.rules()]
    rules += [r for nft in ruleset.nft for chain in nft.chains.values() for r in chain.rules]
    return None if any(map(MASQUERADING.search, rules)) else setting


def bridge_disabled_by(snapshot: Snapshot) -> EngineSetting | None:
    """What takes the default bridge away, on which images are built; None: nothing."""
    bridge = engine_setting(snapshot, "bridge")
    return bridge if bridge and bridge.value == "none" else None


def addressless(snapshot: Snapshot) -> str:
    """The default bridge, if something has taken its address away; "": it has one, there is none,
    or that is not known.
    """
    addressed = snapshot.local_networks.addressed
    names = snapshot.probes.output("interfaces").split()
    is_lost = addressed and DEFAULT_BRIDGE in names and DEFAULT_BRIDGE not in addressed
    return DEFAULT_BRIDGE if is_lost else ""


@dataclass(frozen=True)
class TooLarge:
    """Packets of containers that do not fit into the host's own interface."""

    mtu: int
    interface: str
    fits: int


def too_large(snapshot: Snapshot) -> TooLarge | None:
    """dockerd takes 1500 whatever the host has, as in a network inside another one (moby#22028)."""
    local = snapshot.local_networks
    interface, fits = local.way_out, local.mtu.get(local.way_out or "", 0)
    given = engine_setting(snapshot, "mtu")
    value = str(given.value) if given else ""
    mtu = int(value) if re.fullmatch(r"[1-9]\d{0,5}", value, re.ASCII) else DEFAULT_MTU
    return TooLarge(mtu, interface, fits) if interface and 0 < fits < mtu else None
