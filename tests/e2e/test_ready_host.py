"""A ready host, as testinfra sees it over SSH: what a user relies on, on the real thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.e2e.commands import check, deploy
from tests.e2e.seen import as_testinfra_sees
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES

pytestmark = [pytest.mark.lab, pytest.mark.every_release]

SHELL = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && cp --parents -L /bin/sh "
    "$(ldd /bin/sh | grep -o '/[^ ]*') . && tar c . | docker import - shell"
)


@pytest.fixture(params=RELEASES)
def seen(request: pytest.FixtureRequest, ready_hosts: dict[str, LabHost], tmp_path: Path) -> Host:
    """A ready host of each release, through OpenSSH."""
    return as_testinfra_sees(ready_hosts[request.param], tmp_path)


def test_the_engine_runs_from_the_declared_source(seen: Host) -> None:
    for package in ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin"):
        assert seen.package(package).is_installed
    service = seen.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_docker_info_shows_log_rotation_and_the_runtime(seen: Host) -> None:
    info = json.loads(seen.check_output("docker info -f '{{json .}}'"))
    assert info["LoggingDriver"] == "json-file"
    assert "nvidia" in info["Runtimes"]
    assert info["LiveRestoreEnabled"] is True
    config = json.loads(seen.file("/etc/docker/daemon.json").content_string)
    assert config["log-opts"] == {"max-size": "10m", "max-file": "3"}


def test_a_new_container_has_its_logs_rotated(seen: Host) -> None:
    seen.check_output(SHELL)
    seen.check_output("docker create --name logged shell /bin/sh")
    shown = seen.check_output("docker inspect -f '{{json .HostConfig.LogConfig}}' logged")
    seen.check_output("docker rm logged")
    assert json.loads(shown) == {
        "Type": "json-file",
        "Config": {"max-size": "10m", "max-file": "3"},
    }


def test_a_container_is_killed_at_its_memory_limit_and_the_host_goes_on(seen: Host) -> None:
    seen.check_output(SHELL)
    eat = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
    seen.run(f"docker run --name eater -m 32m shell /bin/sh -c '{eat}'")
    state = seen.check_output("docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater")
    seen.check_output("docker rm eater")
    assert state == "true 137"
    assert seen.service("docker").is_running


def test_ssh_is_open_and_the_rest_is_closed(seen: Host) -> None:
    status = seen.check_output("ufw status verbose")
    assert "Status: active" in status
    assert "deny (incoming)" in status
    assert "22/tcp" in status


def test_the_toolkit_is_whole_and_held(seen: Host) -> None:
    versions = {
        seen.package(name).version
        for name in (
            "nvidia-container-toolkit",
            "nvidia-container-toolkit-base",
            "libnvidia-container-tools",
            "libnvidia-container1",
        )
    }
    assert versions == {"1.20.0-1"}
    assert "nvidia-container-toolkit" in seen.check_output("apt-mark showhold").split()
    assert seen.run("apt-get -q -y upgrade").rc == 0, "a hold never makes an upgrade fail"


def test_security_updates_are_on_without_the_driver_and_the_engine(seen: Host) -> None:
    config = seen.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in config
    for prefix in ("nvidia-", "docker", "containerd"):
        assert f'Unattended-Upgrade::Package-Blacklist:: "{prefix}' in config


TAMPERS: dict[str, Callable[[LabHost], object]] = {
    "docker.config": lambda host: host.run("sed -i '/live-restore/d' /etc/docker/daemon.json"),
    "firewall.enabled": lambda host: host.run("ufw disable"),
    "nvidia.persistence": lambda host: host.run("nvidia-smi -pm 0"),
    "system.updates": lambda host: host.run("rm /etc/apt/apt.conf.d/*gpuhost*"),
    "toolkit.held": lambda host: host.run("apt-mark unhold nvidia-container-toolkit"),
}


@pytest.mark.parametrize("id", TAMPERS)
def test_one_tamper_is_one_finding_in_the_whole_table(ready_trixie: LabHost, id: str) -> None:
    """Over all nouns: nothing else new, and the whole deploy mends it."""
    assert check(ready_trixie).failing == set()
    TAMPERS[id](ready_trixie)
    found = check(ready_trixie)
    assert (found.exit, found.failing - {"docker.live"}) == (2, {id})
    run = deploy(ready_trixie)
    assert run.status == 0, run.stderr
    assert check(ready_trixie).failing == set()


def test_everything_is_taken_away_again_and_comes_back(ready_trixie: LabHost) -> None:
    nouns = "firewall,toolkit,docker,system,swap,nvidia,proxy,apt"
    run = deploy(ready_trixie, deploy="deploys/remove.py", remove=nouns)
    assert run.status == 0, run.stderr
    left = ready_trixie.run("cat /etc/docker/daemon.json; ufw status; apt-mark showhold").stdout
    assert "max-size" not in left
    assert "Status: inactive" in left
    assert "nvidia" not in left
    again = deploy(ready_trixie, deploy="deploys/remove.py", remove=nouns)
    assert (again.status, again.changed) == (0, {})
    back = deploy(ready_trixie)
    assert back.status == 0, back.stderr
    assert check(ready_trixie).failing == set()


def test_what_cannot_be_removed_is_said(ready_trixie: LabHost) -> None:
    run = deploy(ready_trixie, deploy="deploys/remove.py", remove="everything")
    assert run.status == 1
    assert run.changed == {}
    assert "cannot remove everything" in run.stderr
    assert "firewall" in run.stderr
