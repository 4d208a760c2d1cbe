"""The networks that dockerd gives its bridges: of its pools, the first that nothing local uses.

moby, ipamutils (the defaults) and netutils.InferReservedNetworks (what counts as used since 23.0:
networks that are reached without a gateway, and name servers; nothing that is behind a gateway).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_network
from typing import Any

Pool = tuple[IPv4Network, int]
DEFAULT: tuple[Pool, ...] = (
    *((IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
)


def pools_of(values: Any) -> tuple[Pool, ...]:
    """The value of default-address-pools; what cannot be read of it, and IPv6, is left out."""
    found = (_pool(each) for each in values if isinstance(each, dict)) if _is_list(values) else ()
    return tuple(filter(None, found))


def first_free(pools: Iterable[Pool], taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """The network that docker0 gets; None: there is none left."""
    used = list(taken)
    return next((net for net in _networks(pools) if not any(map(net.overlaps, used))), None)


def _networks(pools: Iterable[Pool]) -> Iterator[IPv4Network]:
    for base, size in pools:
        yield from base.subnets(new_prefix=size)


def _pool(values: dict[Any, Any]) -> Pool | None:
    size = values.get("size")
    try:
        base = ip_network(str(values.get("base")), strict=False)
    except ValueError:
        return None
    if not isinstance(base, IPv4Network) or not isinstance(size, int):
        return None
    return (base, size) if base.prefixlen <= size <= 32 else None


def _is_list(values: Any) -> bool:
    return isinstance(values, list)
