"""A provisioned host over SSH, through testinfra: what a user relies on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.e2e.commands import check, deploy
from tests.e2e.testinfra_host import connect_testinfra
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES

pytestmark = [pytest.mark.lab, pytest.mark.every_release]

SHELL = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && cp --parents -L /bin/sh "
    "$(ldd /bin/sh | grep -o '/[^ ]*') . && tar c . | docker import - shell"
)


@pytest.fixture(params=RELEASES)
def server(request: pytest.FixtureRequest, ready_hosts: dict[str, LabHost], tmp_path: Path) -> Host:
    """A provisioned host of each release, over OpenSSH."""
    return connect_testinfra(ready_hosts[request.param], tmp_path)


def test_the_engine_runs_from_the_declared_source(server: Host) -> None:
    for package in ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin"):
        assert server.package(package).is_installed
    service = server.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_docker_info_shows_log_rotation_and_the_runtime(server: Host) -> None:
    info = json.loads(server.check_output("docker info -f '{{json .}}'"))
    assert info["LoggingDriver"] == "json-file"
    assert "nvidia" in info["Runtimes"]
    assert info["LiveRestoreEnabled"] is True
    config = json.loads(server.file("/etc/docker/daemon.json").content_string)
    assert config["log-opts"] == {"max-size": "10m", "max-file": "3"}


def test_a_new_container_has_its_logs_rotated(server: Host) -> None:
    server.check_output(SHELL)
    server.check_output("docker create --name logged shell /bin/sh")
    shown = server.check_output("docker inspect -f '{{json .HostConfig.LogConfig}}' logged")
    server.check_output("docker rm logged")
    assert json.loads(shown) == {
        "Type": "json-file",
        "Config": {"max-size": "10m", "max-file": "3"},
    }


def test_a_container_is_killed_at_its_memory_limit_and_the_host_survives(server: Host) -> None:
    server.check_output(SHELL)
    eat = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
    server.run(f"docker run --name eater -m 32m shell /bin/sh -c '{eat}'")
    state = server.check_output(
        "docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater"
    )
    server.check_output("docker rm eater")
    assert state == "true 137"
    assert server.service("docker").is_running


def test_ssh_is_open_and_the_rest_is_closed(server: Host) -> None:
    status = server.check_output("ufw status verbose")
    assert "Status: active" in status
    assert "deny (incoming)" in status
    assert "22/tcp" in status


def test_the_toolkit_is_complete_and_held(server: Host) -> None:
    versions = {
        server.package(name).version
        for name in (
            "nvidia-container-toolkit",
            "nvidia-container-toolkit-base",
            "libnvidia-container-tools",
            "libnvidia-container1",
        )
    }
    assert versions == {"1.20.0-1"}
    assert "nvidia-container-toolkit" in server.check_output("apt-mark showhold").split()
    assert server.run("apt-get -q -y upgrade").rc == 0, "a hold never makes an upgrade fail"


def test_security_updates_exclude_the_driver_and_the_engine(server: Host) -> None:
    config = server.check_output("apt-config dump")
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
def test_one_change_by_hand_gives_one_finding(ready_trixie: LabHost, id: str) -> None:
    """No check of another noun fails, and the whole deploy repairs it."""
    assert check(ready_trixie).failing == set()
    TAMPERS[id](ready_trixie)
    verdicts = check(ready_trixie)
    assert (verdicts.exit, verdicts.failing - {"docker.live"}) == (2, {id})
    run = deploy(ready_trixie)
    assert run.status == 0, run.stderr
    assert check(ready_trixie).failing == set()


def test_everything_is_removed_and_applied_again(ready_trixie: LabHost) -> None:
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


def test_an_unknown_noun_is_refused(ready_trixie: LabHost) -> None:
    run = deploy(ready_trixie, deploy="deploys/remove.py", remove="everything")
    assert run.status == 1
    assert run.changed == {}
    assert "cannot remove everything" in run.stderr
    assert "firewall" in run.stderr
