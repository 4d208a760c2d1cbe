"""The network of docker0: of the pools, the first that nothing local uses."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from gpuhost.domain.docker.address_pools import DEFAULT, first_free, pools_of


@pytest.mark.parametrize(
    ("taken", "network"),
    [
        ([], "172.17.0.0/16"),
        (["172.17.255.0/24"], "172.18.0.0/16"),
        (["172.16.0.0/12"], "192.168.0.0/20"),
        (["172.16.0.0/12", "192.168.1.0/24"], "192.168.16.0/20"),
        (["172.16.0.0/12", "192.168.0.0/16"], None),
        (["10.0.0.0/8"], "172.17.0.0/16"),
    ],
)
def test_of_the_default_pools(taken: list[str], network: str | None) -> None:
    found = first_free(DEFAULT, map(IPv4Network, taken))
    assert found == (IPv4Network(network) if network else None)


@pytest.mark.parametrize(
    ("values", "network"),
    [
        ([{"base": "10.200.0.0/16", "size": 24}], "10.200.0.0/24"),
        ([{"base": "10.200.3.0/16", "size": 24}], "10.200.0.0/24"),
        ([{"base": "fd00::/48", "size": 64}, {"base": "10.9.0.0/24", "size": 24}], "10.9.0.0/24"),
        ([{"base": "10.200.0.0/16", "size": 8}], None),
        ([{"base": "x"}, 5, {"base": "10.0.0.0/8", "size": "24"}], None),
        ({}, None),
        (None, None),
    ],
)
def test_of_other_pools(values: Any, network: str | None) -> None:
    found = first_free(pools_of(values), [])
    assert found == (IPv4Network(network) if network else None)
