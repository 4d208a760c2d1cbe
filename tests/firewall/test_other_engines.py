"""Ports of an engine that nobody has read are listed before the firewall closes them."""

from __future__ import annotations

import pytest

from gpuhost.plans.firewall_in_use import refusal
from gpuhost.settings import Settings
from tests.recorded import snapshot_of

UNREAD = "8000/tcp (docker-proxy, of an engine that gpuhost does not read)"
PROXY = 'tcp LISTEN 0 4096 0.0.0.0:8000 0.0.0.0:* users:(("docker-proxy",pid=990,fd=7))\n'
LISTENS = {"listeners": {"rc": 0, "out": PROXY}}
ROW = "1f\tweb\trunning\tnginx\t0.0.0.0:8000->80/tcp\tshop\n"


@pytest.mark.parametrize(
    ("host", "probes", "listed"),
    [
        (
            "debian13",
            LISTENS,
            f"would close {UNREAD}",
        ),
        (
            "debian13-docker",
            {**LISTENS, "docker_containers": {"rc": 0, "out": ROW}},
            "would close 8000/tcp (container web)",
        ),
        (
            "debian13-docker",
            {**LISTENS, "docker_containers": {"rc": 0, "out": ROW.replace("8000", "8001")}},
            f"would close {UNREAD}, 8001/tcp (container web)",
        ),
    ],
)
def test_published_ports_are_listed_once(host: str, probes: dict[str, object], listed: str) -> None:
    found = refusal(snapshot_of({"host": host, "probes": probes}), Settings())
    assert found
    assert listed in found.reason


def test_an_allowed_port_is_not_closed() -> None:
    snapshot = snapshot_of({"host": "debian13", "probes": LISTENS})
    assert refusal(snapshot, Settings(firewall_allow=("8000/tcp",))) is None
