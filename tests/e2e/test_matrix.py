"""Settings × cards on both releases: a blank host is provisioned, and a second run is stable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.commands import check, deploy
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

# The cards with a working driver. Not h200: NVSwitch needs Fabric Manager, which is a package of
# the driver (test_nvidia.py).
CARDS = ("p40", "p40-470", "a100", "rtx4090", "l40s-610", "inforom")
USERS = ("root", "ops")
# Debian 12's own packages have neither plugin.
NOT_AVAILABLE = {("distro", "bookworm"): {"docker.compose", "docker.buildx"}}


@dataclass(frozen=True)
class Case:
    """Settings, for a blank host of each release."""

    card: str | None
    source: str
    user: str

    def __str__(self) -> str:
        return f"{self.card or 'no card'}, {self.source}, {self.user}"

    @property
    def settings(self) -> dict[str, Any]:
        gpu = "required" if self.card else "none"
        return {"gpu": gpu, "docker_source": self.source, "ssh_user": self.user}


CASES = [
    *(Case(None, source, user) for source in ("docker-ce", "distro") for user in USERS),
    *(Case(card, "docker-ce", USERS[number % 2]) for number, card in enumerate(CARDS)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_from_blank_to_stable(lab: Lab, case: Case) -> None:
    specs = [HostSpec(f"matrix-{release}", release, card=case.card) for release in RELEASES]
    hosts = lab.boot(*specs)
    try:
        first = deploy(*hosts, **case.settings)
        failing = {host.state.release: check(host, **case.settings).failing for host in hosts}
        second = deploy(*hosts, **case.settings)
    finally:
        for host in hosts:
            lab.remove(host.name)
    lacking = {release: NOT_AVAILABLE.get((case.source, release), set()) for release in RELEASES}
    failed = [host.name for host in hosts if lacking[host.state.release]]
    steps = ("Verification", "Result") if failed else ()
    assert first.failed == dict.fromkeys(steps, failed), first.stderr
    assert failing == lacking
    assert second.changed == {}, second.stderr
    assert second.failed == first.failed
