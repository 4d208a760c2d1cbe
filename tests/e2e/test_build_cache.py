"""apt inside builds on real hosts: dead mirrors are followed by the next, containers reach it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import Lab, Wanted
from tests.lab.packages.mirrors import GOOD

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

ALONE = "tests/e2e/build_alone.py"
FILES = "/etc/apt-cacher-ng /etc/gpuhost/build /etc/systemd/system/apt-cacher-ng.service.d"
# Nobody is there, nobody has that name, and one that takes connections and says nothing.
REFUSED, UNKNOWN, SILENT = "http://127.0.0.1:9", "http://mirror.invalid", "http://127.0.0.1:18084"
LISTENER = "systemd-run --unit=silent python3 -c 'import socket, time; " + (
    's = socket.create_server(("127.0.0.1", 18084)); time.sleep(100000)\''
)
# What a build has of apt: its own lists, and the proxy from the environment.
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
    """A host of each release with an engine and the cache, most of whose mirrors are dead."""
    found = hosts(*(Wanted(f"build-{release}", release) for release in RELEASES))
    for host in found:
        host.run(LISTENER)
    run = deploy(*found, deploy=ALONE, **settings(lab))
    assert run.status == 0, run.stderr
    return {host.state.release: host for host in found}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, with_cache: dict[str, LabHost]) -> LabHost:
    return with_cache[request.param]


def provision(host: LabHost, lab: Lab) -> Run:
    return deploy(host, deploy=ALONE, **settings(lab))


def verdict(host: LabHost, lab: Lab) -> str:
    return check(host, **settings(lab)).status["build.apt_cache"]


def test_it_is_there_and_a_second_run_changes_nothing(host: LabHost, lab: Lab) -> None:
    assert verdict(host, lab) == "ok"
    run = provision(host, lab)
    assert (run.status, run.changed) == (0, {})


def test_packages_come_from_the_first_mirror_that_answers(host: LabHost, lab: Lab) -> None:
    host.run(f"mkdir -p /tmp/lists/partial && {APT} update && cd /tmp && {APT} download hostname")
    asked = host.run("cat /etc/apt-cacher-ng/backends_debian").stdout
    assert asked == f"{lab.repository.base}/{GOOD}/debian/\n"
    # An absolute name of a repository, not a host's: what was asked went to the mirrors.
    assert host.run("ls /var/cache/apt-cacher-ng/debrep/pool/main/h/hostname/").stdout


def test_containers_reach_it_and_it_listens_nowhere_else(host: LabHost) -> None:
    host.run(IMAGE)
    assert host.run(CONNECT, check=False).status == 0
    listening = host.run("ss -Hltn 'sport = :3142'").stdout.split("\n")
    assert [line.split()[3] for line in listening if line] == ["172.17.0.1:3142"]


TAMPERS = {
    "stopped": "systemctl stop apt-cacher-ng",
    "gone at the next boot": "systemctl disable apt-cacher-ng",
    "open to the world": "sed -i '/BindAddress/d' /etc/apt-cacher-ng/zzz_gpuhost.conf",
    "another mirror": "echo http://mirror.invalid >/etc/gpuhost/build/mirrors",
    "no package": "apt-get -q -y remove apt-cacher-ng",
}


@pytest.mark.parametrize("fault", TAMPERS)
def test_broken_by_hand_and_mended(host: LabHost, lab: Lab, fault: str) -> None:
    host.run(TAMPERS[fault])
    assert verdict(host, lab) == "fail"
    assert provision(host, lab).status == 0
    assert verdict(host, lab) == "ok"


def test_taken_away(host: LabHost, lab: Lab) -> None:
    run = deploy(host, deploy="deploys/remove.py", remove="build")
    assert run.status == 0, run.stderr
    assert "gpuhost" not in host.run(f"find {FILES} -type f", check=False).stdout
    assert check(host).status["build.apt_cache"] == "skip"
    assert provision(host, lab).status == 0
