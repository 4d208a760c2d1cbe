"""Addresses that sockets listen on, as `ss` prints them."""

from __future__ import annotations

import pytest

from gpuhost.domain.firewall.listeners import parse_ss
from gpuhost.domain.firewall.sockets import is_loopback, plain_address
from gpuhost.plans.docker_listens import Endpoint

JAVA = 'tcp LISTEN 0 4096 {}:9200 *:* users:(("java",pid=812,fd=411))\n'


@pytest.mark.parametrize(
    ("printed", "address", "reached"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.53%lo", "127.0.0.53", False),
        ("[::1]", "::1", False),
        # Java and Go bind an IPv4 address with an IPv6 socket.
        ("[::ffff:127.0.0.1]", "127.0.0.1", False),
        ("[::ffff:7f00:1]", "127.0.0.1", False),
        ("[::ffff:10.0.0.5]", "10.0.0.5", True),
        ("[::ffff:0.0.0.0]", "", True),
        ("[fd00::5]", "fd00::5", True),
        ("*", "", True),
    ],
)
def test_loopback_is_not_reached_from_outside(printed: str, address: str, reached: bool) -> None:
    assert plain_address(printed) == address
    assert is_loopback(address) is not reached
    assert [str(each) for each in parse_ss(JAVA.format(printed))] == ["9200/tcp (java)"] * reached


def test_the_engines_api_on_a_mapped_address() -> None:
    assert Endpoint("::ffff:127.0.0.1", 2375, verified=False).loopback
