"""The network that Docker's first start gives docker0, and who would be cut off by it.

The host sends what goes to that network to docker0 from then on: answers to an SSH login from the
same addresses behind a gateway too (moby#27213, docker/for-linux#40).
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from gpuhost.domain.docker.address_pools import DEFAULT, first_free, pools_of
from gpuhost.plans.docker import declared_pools
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.networks import DEFAULT_BRIDGE

FIX = 'set docker_address_pools to networks that nobody uses here, such as ["10.200.0.0/16#24"]'


def cuts_login_off(snapshot: Snapshot, settings: Settings) -> str:
    """Why Docker must not be started for the first time yet; "": it may, or that is not known."""
    try:
        return _cuts_login_off(snapshot, settings)
    except NotRead:
        return ""


def _cuts_login_off(snapshot: Snapshot, settings: Settings) -> str:
    local = snapshot.local_networks
    if local.login is None or not local.links or _has_bridge(snapshot):
        return ""
    if any(local.login in network for _, network in local.links):
        return ""
    bridge = _network_of_bridge(snapshot, settings)
    if bridge is None or local.login not in bridge:
        return ""
    return f"docker0 would get {bridge}: this login, from {local.login}, would be cut off; {FIX}"


def _has_bridge(snapshot: Snapshot) -> bool:
    """Whether Docker has been started here, with the network that it keeps."""
    names = snapshot.probes.output("interfaces").split()
    return snapshot.docker.engine is not None or DEFAULT_BRIDGE in names


def _network_of_bridge(snapshot: Snapshot, settings: Settings) -> IPv4Network | None:
    values = snapshot.docker.config.usable
    if values.get("bridge"):
        return None
    if "bip" in values:
        return _fixed(values["bip"])
    local = snapshot.local_networks
    given = values.get("default-address-pools") or declared_pools(settings)
    taken = [network for _, network in local.links]
    taken += [IPv4Network(server) for server in local.name_servers]
    return first_free(pools_of(given) if given else DEFAULT, taken)


def _fixed(bip: Any) -> IPv4Network | None:
    try:
        return IPv4Interface(str(bip)).network
    except ValueError:
        return None
