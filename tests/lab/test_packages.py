"""The lab's packages: an engine that enforces memory limits, and a toolkit with a card."""

from __future__ import annotations

import pytest

from tests.lab import cards, images
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost, Snapshot
from tests.lab.lab import HostSpec, Lab

# These test the lab itself: its simulated repositories hardly change.
pytestmark = [pytest.mark.lab, pytest.mark.matrix]

NO_DRIVER = 'could not select device driver "" with capabilities: [[gpu]]'
ENGINE = "docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin"
TOOLKIT = (
    "nvidia-container-toolkit nvidia-container-toolkit-base "
    "libnvidia-container-tools libnvidia-container1"
)
# An image of the host's own shell and C library.
IMPORT = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && "
    "cp --parents -L /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*') . && tar c . | docker import - shell"
)
# Docker's unit gives up after three starts in a minute.
RESTART = "systemctl reset-failed docker && systemctl restart docker"
EAT = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done"
COMPOSE = """\
services:
  model:
    image: shell
    command: [nvidia-smi, -L]
    deploy:
      resources:
        reservations:
          devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]
"""


def install_engine(host: LabHost, base: str) -> None:
    uri = f"{base}/docker-ce/linux/debian"
    key = "/etc/apt/keyrings/docker.asc"
    line = f"deb [signed-by={key}] {uri} {host.state.release} stable"
    host.run(f"curl -fsS {uri}/gpg -o {key}")
    host.run(f"echo '{line}' >/etc/apt/sources.list.d/docker.list && apt-get -q update")
    host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q install -y {ENGINE}", timeout=300)


def install_toolkit(host: LabHost, base: str, version: str) -> None:
    uri = f"{base}/libnvidia-container"
    key = "/etc/apt/keyrings/nvidia.asc"
    line = f"deb [signed-by={key}] {uri}/stable/deb/$(ARCH) /"
    host.run(f"curl -fsS {uri}/gpgkey -o {key}")
    host.put("/etc/apt/sources.list.d/nvidia.list", f"{line}\n".encode())
    packages = " ".join(f"{package}={version}-1" for package in TOOLKIT.split())
    host.run(f"apt-get -q update && apt-get -q install -y {packages}")


@pytest.fixture(scope="module")
def with_engine(hosts: Hosts, lab: Lab) -> dict[str, LabHost]:
    """A host of each release with an engine, an image named "shell", a card and no toolkit."""
    booted = hosts(*(HostSpec(f"engine-{name}", name, card="rtx4090") for name in images.RELEASES))
    for host in booted:
        install_engine(host, lab.repository.base)
        host.run(IMPORT)
    return {host.state.release: host for host in booted}


@pytest.fixture(params=images.RELEASES)
def host(request: pytest.FixtureRequest, with_engine: dict[str, LabHost]) -> LabHost:
    return with_engine[request.param]


def test_the_engine_runs_as_docker_ships_it(host: LabHost) -> None:
    assert host.run("systemctl is-active docker containerd").stdout == "active\nactive\n"
    assert host.run("docker version -f '{{.Server.Version}}'").stdout.startswith("26.1.5")
    assert host.run("docker info -f '{{.Driver}}'").stdout == "overlay2\n"
    assert host.run("docker compose version --short").stdout.startswith("2.26.1")
    assert "v0.13.1" in host.run("docker buildx version").stdout.replace("buildx ", "v")
    version = host.run("dpkg-query -f '${Version}' -W docker-ce").stdout
    number = images.NUMBER_OF[host.state.release]
    assert version == f"5:26.1.5-1~debian.{number}~{host.state.release}"


def test_a_static_program_runs_in_an_image_without_a_shell(host: LabHost) -> None:
    host.put("/tmp/static/program", cards.program(), mode=0o755)
    host.run("tar c -C /tmp/static program | docker import - static")
    ran = host.run("docker run --rm static /program --no-such-option", check=False)
    assert ran.status == 2
    assert "Invalid combination of input arguments" in ran.stdout


def test_a_container_is_killed_at_its_memory_limit(host: LabHost) -> None:
    host.run(f"docker run --name eater -m 32m shell /bin/sh -c '{EAT}'", check=False)
    shown = host.run("docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater").stdout
    host.run("docker rm eater")
    assert shown == "true 137\n"


@pytest.mark.parametrize("version", ["1.17.8", "1.20.0"])
def test_containers_see_the_card_only_with_the_toolkit(
    host: LabHost, lab: Lab, version: str
) -> None:
    host.run(f"apt-get -q purge -y {TOOLKIT}; {RESTART}")
    command = "docker run --rm --gpus all shell nvidia-smi -L"
    without = host.run(command, check=False)
    assert without.status == 125
    assert NO_DRIVER in without.stderr
    install_toolkit(host, lab.repository.base, version)
    assert host.run("nvidia-ctk --version").stdout.splitlines()[0].endswith(f"version {version}")
    host.run(RESTART)
    on_host = host.run("nvidia-smi -L").stdout
    assert on_host.count("GPU-") == 2
    assert host.run(command).stdout == on_host
    second_card = host.run("docker run --rm --gpus device=1 shell nvidia-smi -L").stdout
    assert second_card == on_host.splitlines(keepends=True)[1]
    refused = host.run(
        "docker run --rm --gpus all -e NVIDIA_REQUIRE_CUDA='cuda>=12.8' shell nvidia-smi",
        check=False,
    )
    assert "unsatisfied condition: cuda>=12.8, please update your driver" in refused.stderr


def test_the_runtime_cdi_and_compose_reach_the_card(host: LabHost, lab: Lab) -> None:
    install_toolkit(host, lab.repository.base, "1.20.0")
    host.run("nvidia-ctk runtime configure --runtime=docker --cdi.enabled")
    host.run(RESTART)
    on_host = host.run("nvidia-smi -L").stdout
    runtime = "docker run --rm --runtime nvidia -e NVIDIA_VISIBLE_DEVICES=all shell nvidia-smi -L"
    assert host.run(runtime).stdout == on_host
    assert "nvidia.com/gpu=all" in host.run("nvidia-ctk cdi list").stdout
    cdi = "docker run --rm --device nvidia.com/gpu=all shell nvidia-smi -L"
    assert host.run(cdi).stdout == on_host
    host.put("/tmp/compose/compose.yaml", COMPOSE.encode())
    ran = host.run("cd /tmp/compose && docker compose up --no-log-prefix 2>/dev/null").stdout
    assert on_host.splitlines()[0] in ran
    assert on_host.splitlines()[1] not in ran


@pytest.fixture(scope="module")
def with_toolkit(with_engine: dict[str, LabHost], lab: Lab) -> Snapshot:
    """The disks of a host with an engine and a toolkit."""
    host = with_engine["trixie"]
    install_toolkit(host, lab.repository.base, "1.20.0")
    return host.snapshot("toolkit")


@pytest.mark.parametrize(
    ("card", "error"),
    [
        ("undriven", "load library failed: libnvidia-ml.so.1: cannot open shared object file"),
        ("not-loaded", "nvidia-container-cli: initialization error: nvml error: driver not loaded"),
        ("mismatch", "nvml error: driver/library version mismatch"),
    ],
)
def test_the_hook_fails_like_the_real_one_if_the_card_does(
    lab: Lab, with_toolkit: Snapshot, card: str, error: str
) -> None:
    (host,) = lab.boot(HostSpec(f"broken-{card}", "trixie", card=card, snapshot=with_toolkit))
    failed = host.run("docker run --rm --gpus all shell nvidia-smi", check=False)
    lab.remove(host.name)
    assert failed.status != 0
    assert error in failed.stderr
