"""Published ports: the address they get, and what is refused."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.release.ports import BadPort, bind_ports


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("3000", "127.0.0.1::3000"),
        ("3000:3000", "127.0.0.1:3000:3000"),
        ("3000:3000/udp", "127.0.0.1:3000:3000/udp"),
        ("3000-3005:4000-4005", "127.0.0.1:3000-3005:4000-4005"),
        ("127.0.0.1:3000:3000", "127.0.0.1:3000:3000"),
        ("127.1.2.3:3000:3000", "127.1.2.3:3000:3000"),
        ("127.0.0.1::3000", "127.0.0.1::3000"),
        ("0.0.0.0:3000:3000", "127.0.0.1:3000:3000"),
        ("192.0.2.7:3000:3000", "127.0.0.1:3000:3000"),
        ("[::1]:3000:3000", "[::1]:3000:3000"),
        ("::1:3000:3000", "[::1]:3000:3000"),
        ("[::]:3000:3000", "127.0.0.1:3000:3000"),
        ("${PORT:-3000}:3000", "127.0.0.1:${PORT:-3000}:3000"),
        ("${BIND:-0.0.0.0}:${PORT:-3000}:${IN:-80}", "127.0.0.1:${PORT:-3000}:${IN:-80}"),
        ("${ALL:-3000:3000}", "127.0.0.1::${ALL:-3000:3000}"),
        ("${A:-${B:-3:3}}:80", "127.0.0.1:${A:-${B:-3:3}}:80"),
        ({"target": 80}, {"target": 80, "host_ip": "127.0.0.1"}),
        (
            {"target": 80, "published": "8080", "host_ip": "0.0.0.0", "mode": "host"},
            {"target": 80, "published": "8080", "host_ip": "127.0.0.1", "mode": "host"},
        ),
        (
            {"target": 80, "published": 8080, "host_ip": "::1"},
            {"target": 80, "published": 8080, "host_ip": "::1"},
        ),
    ],
)
def test_a_port_that_is_not_public_is_bound_to_loopback(entry: Any, expected: Any) -> None:
    assert bind_ports("web", [entry], ["other:3000", "web2:3000"]) == [expected]


@pytest.mark.parametrize(
    ("entry", "public", "expected"),
    [
        ("3000:80", ["web:3000"], "3000:80"),
        ("0.0.0.0:3000:80", ["web:3000"], "0.0.0.0:3000:80"),
        ("[2001:db8::1]:3000:80/udp", ["web:3000"], "[2001:db8::1]:3000:80/udp"),
        ("${PORT:-3000}:80", ["web:3000"], "${PORT:-3000}:80"),
        ("80", ["web:80"], "80"),
        ("7000-7001:7000-7001", ["web:7000", "web:7001"], "7000-7001:7000-7001"),
        (
            {"target": 80, "published": "3000", "host_ip": "192.0.2.1"},
            ["web:3000"],
            {"target": 80, "published": "3000", "host_ip": "192.0.2.1"},
        ),
        ({"target": 80, "published": 3000}, ["web:3000"], {"target": 80, "published": 3000}),
    ],
)
def test_a_public_port_keeps_its_address(entry: Any, public: list[str], expected: Any) -> None:
    assert bind_ports("web", [entry], public) == [expected]


@pytest.mark.parametrize(
    ("entries", "public", "says"),
    [
        (["3000:80"], ["web:80"], "web:80: the service publishes no such port"),
        ([], ["web:80"], "web:80: the service publishes no such port"),
        (["127.0.0.1:80:80"], ["web:80"], "the file binds it to 127.0.0.1"),
        (["7000-7002:7000-7002"], ["web:7000", "web:7002"], "web:7001 is missing"),
        (["3000:"], [], "not a port mapping"),
        (["${PORT:80"], [], "not a port mapping"),
        ([""], [], "not a port mapping"),
    ],
)
def test_invalid_ports_are_refused(entries: list[Any], public: list[str], says: str) -> None:
    with pytest.raises(BadPort, match=says):
        bind_ports("web", entries, public)


@given(st.text())
def test_any_text_is_bound_to_loopback(text: str) -> None:
    try:
        (entry,) = bind_ports("web", [text], [])
    except BadPort:
        return
    assert isinstance(entry, str)
    address = entry[1:].partition("]")[0] if entry[0] == "[" else entry.partition(":")[0]
    assert ip_address(address).is_loopback


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_any_mapping_only_gets_an_address(entry: dict[str, Any]) -> None:
    (made,) = bind_ports("web", [entry], [])
    assert isinstance(made, dict)
    assert {**made, "host_ip": entry.get("host_ip")} == {"host_ip": None, **entry}
