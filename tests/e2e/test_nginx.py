"""nginx on real hosts: installed for an app that needs it, changed by hand and repaired."""

from __future__ import annotations

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

OK = dict.fromkeys(("nginx.package", "nginx.renewal", "nginx.running"), "ok")


@pytest.fixture(scope="module")
def with_nginx(hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with nginx and certbot, for an app that needs both."""
    booted = hosts(*(HostSpec(f"nginx-{release}", release) for release in RELEASES))
    for host in booted:
        assert set(verdicts(host).values()) == {"skip"}
    run = deploy(*booted, deploy="tests/e2e/nginx_alone.py")
    assert run.status == 0, run.stderr
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, with_nginx: dict[str, LabHost]) -> LabHost:
    return with_nginx[request.param]


def provision(host: LabHost) -> Run:
    return deploy(host, deploy="tests/e2e/nginx_alone.py")


def verdicts(host: LabHost) -> dict[str, str]:
    status = check(host).status
    return {id: value for id, value in status.items() if id.startswith("nginx.")}


def test_it_is_installed_and_a_second_run_changes_nothing(host: LabHost) -> None:
    assert verdicts(host) == OK
    run = provision(host)
    assert (run.status, run.changed) == (0, {})


TAMPERS = {
    "nginx.package": ("apt-get -q -y remove certbot", {"nginx.renewal": "skip"}),
    "nginx.running": ("systemctl disable --now nginx", {}),
    "nginx.renewal": ("systemctl disable --now certbot.timer", {}),
}


@pytest.mark.parametrize("id", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, id: str) -> None:
    command, also = TAMPERS[id]
    host.run(command)
    assert verdicts(host) == {**OK, id: "fail", **also}
    assert provision(host).status == 0
    assert verdicts(host) == OK
