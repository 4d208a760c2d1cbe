"""Any output of a host about its apt cache and its nginx is data."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from gpuhost.snapshot.build import Build
from gpuhost.snapshot.nginx import RECORD
from tests.recorded import snapshot_of

TEXT = st.text(max_size=200)


@pytest.mark.parametrize(
    ("out", "gateway"),
    [
        (
            "3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\ valid",
            "172.17.0.1",
        ),
        ("3: docker0    inet 10.200.0.1/24 scope global docker0\n", "10.200.0.1"),
        ("", None),
        ("3: docker0    inet6 fe80::1/64 scope link", None),
    ],
)
def test_docker0(out: str, gateway: str | None) -> None:
    snapshot = snapshot_of(
        {"host": "debian13-docker", "probes": {"addresses": {"rc": 0, "out": out}}}
    )
    assert snapshot.build.gateway == gateway
    assert snapshot.build.cache is None


@pytest.mark.parametrize(
    ("record", "needed", "certificates"),
    [
        (None, False, False),
        ('{"certbot": true}', True, True),
        ('{"certbot": false}', True, False),
        ("[]", True, False),
        ("[" * 100_000, True, False),
    ],
)
def test_needs_of_apps(record: str | None, needed: bool, certificates: bool) -> None:
    nginx = snapshot_of({"host": "debian13", "files": {RECORD: record}}).nginx
    assert (nginx.needed, nginx.certificates) == (needed, certificates)


@given(TEXT, TEXT, TEXT, TEXT)
def test_only_not_read_is_raised(addresses: str, packages: str, units: str, record: str) -> None:
    probes = Probes(
        {
            "addresses": Probe(0, addresses, ""),
            "packages": Probe(0, packages, ""),
            "units": Probe(0, units, ""),
            "files": Probe(0, "".join(f"{RECORD}:{line}\n" for line in record.splitlines()), ""),
        }
    )
    with suppress(NotRead):
        Build.read(probes)
    with suppress(NotRead):
        assert Snapshot(probes).nginx.certificates in (True, False)
