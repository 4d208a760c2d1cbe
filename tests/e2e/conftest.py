"""Hosts that a deploy has provisioned, shared by all tests of the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.commands import deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` provisions hosts of every release, but runs most tests only on the newest one.

    The same tests on older releases are marked as matrix.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        is_older = callspec and not set(RELEASES[:-1]).isdisjoint(
            map(str, callspec.params.values())
        )
        if is_older and item.path.parent == HERE and not item.get_closest_marker("every_release"):
            item.add_marker(pytest.mark.matrix)


@pytest.fixture(scope="session")
def ready_hosts(hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with a P40, provisioned. A test that changes one repairs it."""
    booted = hosts(*(HostSpec(f"ready-{release}", release, card="p40") for release in RELEASES))
    run = deploy(*booted)
    assert run.status == 0, run.stderr
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def ready(request: pytest.FixtureRequest, ready_hosts: dict[str, LabHost]) -> LabHost:
    """A provisioned host, of each release."""
    return ready_hosts[request.param]


@pytest.fixture
def ready_trixie(ready_hosts: dict[str, LabHost]) -> LabHost:
    """A provisioned host, for tests that do not depend on the release."""
    return ready_hosts["trixie"]
