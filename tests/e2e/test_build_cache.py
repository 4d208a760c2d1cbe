"""The cache for apt inside builds, on hosts: it skips dead mirrors, and containers reach it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab
from tests.lab.packages.mirrors import GOOD

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

ALONE = "tests/e2e/build_alone.py"
FILES = "/etc/apt-cacher-ng /etc/gpuhost/build /etc/systemd/system/apt-cacher-ng.service.d"
# No listener, an unknown name, and a listener that accepts connections and never answers.
REFUSED, UNKNOWN, SILENT = "http://127.0.0.1:9", "http://mirror.invalid", "http://127.0.0.1:18084"
LISTENER = "systemd-run --unit=silent python3 -c 'import socket, time; " + (
    's = socket.create_server(("127.0.0.1", 18084)); time.sleep(100000)\''
)
# apt as in a build: with its own lists, and the proxy of the environment.
APT = "http_proxy=http://172.17.0.1:3142 NO_PROXY='*' apt-get -q -o Dir::State::lists=/tmp/lists"
IMAGE = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && cp --parents -L /bin/bash "
    "$(ldd /bin/bash | grep -o '/[^ ]*') . 2>/dev/null; tar c . | docker import - bash"
)
CONNECT = "docker run --rm bash /bin/bash -c 'exec 3<>/dev/tcp/172.17.0.1/3142'"


def settings(lab: Lab) -> dict[str, Any]:
    mirrors = [SILENT, REFUSED, UNKNOWN, f"{lab.repository.base}/{GOOD}"]
    return {"apt_mirror": "auto", "apt_mirror_candidates": mirrors}


@pytest.fixture(scope="module")
def with_cache(lab: Lab, hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with an engine and the cache; most of its mirrors are dead."""
    booted = hosts(*(HostSpec(f"build-{release}", release) for release in RELEASES))
    for host in booted:
        host.run(LISTENER)
    run = deploy(*booted, deploy=ALONE, **settings(lab))
    assert run.status == 0, run.stderr
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, with_cache: dict[str, LabHost]) -> LabHost:
    return with_cache[request.param]


def provision(host: LabHost, lab: Lab) -> Run:
    return deploy(host, deploy=ALONE, **settings(lab))


def verdict(host: LabHost, lab: Lab) -> str:
    return check(host, **settings(lab)).status["build.apt_cache"]


def test_it_is_installed_and_a_second_run_changes_nothing(host: LabHost, lab: Lab) -> None:
    assert verdict(host, lab) == "ok"
    run = provision(host, lab)
    assert (run.status, run.changed) == (0, {})


def test_packages_come_from_the_first_mirror_that_answers(host: LabHost, lab: Lab) -> None:
    host.run(f"mkdir -p /tmp/lists/partial && {APT} update && cd /tmp && {APT} download hostname")
    mirrors = host.run("cat /etc/apt-cacher-ng/backends_debian").stdout
    assert mirrors == f"{lab.repository.base}/{GOOD}/debian/\n"
    # The cache stores by repository, not by host: the request went to the mirrors.
    assert host.run("ls /var/cache/apt-cacher-ng/debrep/pool/main/h/hostname/").stdout


def test_it_listens_only_where_containers_reach_it(host: LabHost) -> None:
    host.run(IMAGE)
    assert host.run(CONNECT, check=False).status == 0
    listening = host.run("ss -Hltn 'sport = :3142'").stdout.split("\n")
    assert [line.split()[3] for line in listening if line] == ["172.17.0.1:3142"]


TAMPERS = {
    "stopped": "systemctl stop apt-cacher-ng",
    "not enabled at boot": "systemctl disable apt-cacher-ng",
    "listens on every address": "sed -i '/BindAddress/d' /etc/apt-cacher-ng/zzz_gpuhost.conf",
    "another mirror": "echo http://mirror.invalid >/etc/gpuhost/build/mirrors",
    "package removed": "apt-get -q -y remove apt-cacher-ng",
}


@pytest.mark.parametrize("fault", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, lab: Lab, fault: str) -> None:
    host.run(TAMPERS[fault])
    assert verdict(host, lab) == "fail"
    assert provision(host, lab).status == 0
    assert verdict(host, lab) == "ok"


def test_removal(host: LabHost, lab: Lab) -> None:
    run = deploy(host, deploy="deploys/remove.py", remove="build")
    assert run.status == 0, run.stderr
    assert "gpuhost" not in host.run(f"find {FILES} -type f", check=False).stdout
    assert check(host).status["build.apt_cache"] == "skip"
    assert provision(host, lab).status == 0
