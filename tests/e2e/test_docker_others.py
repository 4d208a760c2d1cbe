"""Engines that others set up, with real dockerd, systemd, podman and containerd: what clashes is
refused before anything changes, what is ours is restored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.transport import decode
from tests.e2e.commands import Run, Verdicts, check, deploy
from tests.e2e.test_docker import ALONE, DAEMON_JSON, SERVICE, SHELL
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

# Without the reset, systemd refuses what is restarted this often.
RESTART = "systemctl reset-failed docker; systemctl restart docker"
DROP_IN = "/etc/systemd/system/docker.service.d/90-others.conf"
PRESENT = {"docker_source": "present", "gpu": "none", "docker_min_memory_gb": 0.1}
INSTALL = (
    "apt-get -q update && DEBIAN_FRONTEND=noninteractive "
    "apt-get -q -y --no-install-recommends install"
)


@pytest.fixture(scope="module")
def engine(hosts: Hosts) -> LabHost:
    """The distribution's engine as somebody installed it, with a container, without daemon.json."""
    (host,) = hosts(HostSpec("docker-others", "trixie"))
    host.reset()
    host.run(f"{INSTALL} docker.io docker-cli docker-compose docker-buildx", timeout=300)
    host.run(SHELL)
    return host


@pytest.fixture
def used(engine: LabHost) -> Iterator[LabHost]:
    engine.run(SERVICE)
    yield engine
    engine.run(
        f"docker rm -f service; rm -f {DROP_IN} {DAEMON_JSON} /var/lib/gpuhost/docker.json;"
        "systemctl unmask docker.service docker.socket; systemctl daemon-reload;"
        f"{RESTART}"
    )


def drop_in(host: LabHost, flags: str, *, restart: bool = True) -> None:
    text = f"[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// {flags}\n"
    host.run(f"mkdir -p {DROP_IN.rpartition('/')[0]}")
    host.put(DROP_IN, text.encode())
    if restart:
        host.run(f"systemctl daemon-reload; {RESTART} && docker start service")


def provision(host: LabHost) -> Run:
    return deploy(host, deploy=ALONE, **PRESENT)


def verdicts(host: LabHost) -> Verdicts:
    return check(host, **PRESENT)


def files(host: LabHost) -> str:
    return host.run("ls -A /etc/docker /var/lib/gpuhost 2>/dev/null", check=False).stdout


def test_a_flag_of_a_drop_in_is_not_set_again_in_daemon_json(used: LabHost) -> None:
    drop_in(used, "--log-opt max-size=50m")
    started = used.run("docker inspect -f '{{.State.StartedAt}}' service").stdout
    before = files(used)
    finding = verdicts(used).findings["docker.config"]
    assert finding["status"] == "fail"
    assert f"--log-opt max-size=50m in {DROP_IN}" in finding["actual"]
    run = provision(used)
    assert f"--log-opt max-size=50m in {DROP_IN}" in run.stderr
    assert files(used) == before, "nothing was written"
    assert used.run("docker inspect -f '{{.State.StartedAt}}' service").stdout == started
    # The real dockerd does not start with both; with what is there it does.
    used.put(DAEMON_JSON, b'{"log-opts": {"max-file": "3"}}')
    assert used.run(RESTART, check=False).status != 0
    used.run(f"rm {DAEMON_JSON}; systemctl reset-failed docker; systemctl restart docker")
    # What the finding says to do helps.
    used.run(f"rm {DROP_IN}; systemctl daemon-reload; systemctl restart docker")
    run = provision(used)
    assert run.status == 0, run.stderr
    assert verdicts(used).status["docker.config"] == "ok"


def test_a_flag_in_debians_default_file(used: LabHost) -> None:
    used.put(
        "/etc/default/docker", b'# DOCKER_OPTS="--dns 192.0.2.1"\nDOCKER_OPTS="--live-restore"\n'
    )
    used.run(f"{RESTART} && docker start service")
    try:
        finding = verdicts(used).findings["docker.config"]
        assert finding["status"] == "fail"
        assert "--live-restore in /etc/default/docker" in finding["actual"]
        assert "--live-restore in /etc/default/docker" in provision(used).stderr
        assert used.run(f"ls {DAEMON_JSON}", check=False).status != 0
    finally:
        used.run("rm /etc/default/docker; systemctl restart docker")


def test_a_drop_in_that_systemd_has_not_read(used: LabHost) -> None:
    drop_in(used, "--log-driver journald", restart=False)
    finding = verdicts(used).findings["docker.config"]
    assert finding["status"] == "warn"
    assert DROP_IN in finding["actual"]


def test_an_api_on_the_network(used: LabHost) -> None:
    drop_in(used, "-H tcp://0.0.0.0:2375")
    finding = verdicts(used).findings["docker.listens"]
    assert finding["status"] == "fail"
    assert DROP_IN in finding["actual"]
    drop_in(used, "-H tcp://127.0.0.1:2375")
    assert verdicts(used).status["docker.listens"] == "warn"
    used.run(f"rm {DROP_IN}; systemctl daemon-reload; systemctl reset-failed docker")
    assert verdicts(used).status["docker.listens"] == "warn", "it still listens"
    used.run(RESTART)
    assert verdicts(used).status["docker.listens"] == "ok"


def test_a_masked_engine_is_unmasked(used: LabHost) -> None:
    assert provision(used).status == 0
    used.run("systemctl stop docker.socket docker; systemctl mask docker.service")
    used.run("systemctl mask --runtime docker.socket")
    finding = verdicts(used).findings["docker.engine"]
    assert finding["status"] == "fail"
    assert "masked" in finding["actual"]
    run = provision(used)
    assert run.status == 0, run.stderr
    assert verdicts(used).status["docker.engine"] == "ok"


def test_a_broken_daemon_json_of_ours_is_put_back(used: LabHost) -> None:
    used.put(DAEMON_JSON, b'{"labels": ["site=a"]}')
    assert provision(used).status == 0
    applied = json.loads(used.run(f"cat {DAEMON_JSON}").stdout)
    used.put(DAEMON_JSON, b"{\n")
    used.run(RESTART, check=False)
    found = verdicts(used)
    assert found.status["docker.engine"] == found.status["docker.config"] == "fail"
    assert "unexpected end of JSON input" in found.findings["docker.engine"]["evidence"]
    run = provision(used)
    assert run.status == 0, run.stderr
    assert json.loads(used.run(f"cat {DAEMON_JSON}").stdout) == applied
    assert used.run(f"cat {DAEMON_JSON}.broken").stdout == "{\n"
    assert verdicts(used).status["docker.config"] == "ok"
    assert provision(used).changed == {}


def test_bridges_have_the_names_that_the_engine_gives_them(used: LabHost) -> None:
    """Through the collector, with a real network of another bridge name."""
    option = "com.docker.network.bridge.name=br-mailcow"
    used.run(f"docker network create --opt {option} mail && docker network create shop")
    try:
        listed = used.run("ls -d /sys/class/net/*/bridge").stdout
        id = used.run("docker network inspect -f '{{.Id}}' shop").stdout[:12]
        assert f"br-{id}" in listed
        assert "br-mailcow" in listed
        assert bridges(used) == {"br-mailcow", f"br-{id}", "docker0"}
    finally:
        used.run("docker network rm mail shop")


def bridges(host: LabHost) -> set[str]:
    host.put("/tmp/read.sh", script(request_for(Settings())).encode())
    reply = host.run("sh </tmp/read.sh; rm /tmp/read.sh").stdout
    return set(Snapshot(decode(reply.splitlines())).networks.bridges)


def test_an_engine_started_by_hand(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("docker-by-hand", "trixie"))
    host.reset()
    host.run(f"{INSTALL} docker.io docker-cli", timeout=300)
    host.run("systemctl disable --now docker.socket docker.service; systemctl mask docker.service")
    host.run("setsid dockerd >/tmp/dockerd.log 2>&1 </dev/null & sleep 5; docker info >/dev/null")
    run = deploy(host, deploy=ALONE, docker_source="distro")
    assert "started by hand" in run.stderr
    assert "adopt=True" in run.stderr
    assert check(host, docker_source="distro").status["docker.engines"] == "fail"
    adopted = deploy(host, deploy=ALONE, docker_source="distro", adopt=True)
    assert adopted.status == 0, adopted.stderr
    found = check(host, docker_source="distro", docker_min_memory_gb=0.1)
    assert found.status["docker.engines"] == found.status["docker.engine"] == "ok"


def test_podman_and_a_nodes_containerd(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("docker-podman", "trixie"))
    host.reset()
    host.run(f"{INSTALL} podman podman-docker", timeout=300)
    # Debian 12 starts the socket with the package, Debian 13 does not.
    host.run("systemctl stop podman.socket", check=False)
    found = check(host)
    assert found.status["docker.engines"] == "ok"
    assert "podman-docker installed" in found.findings["docker.packages"]["actual"]
    host.run("systemctl start podman.socket")
    assert "/run/podman/podman.sock" in check(host).findings["docker.engines"]["actual"]
    run = deploy(host, deploy=ALONE)
    assert "/run/podman/podman.sock" in run.stderr
    assert "replaces podman-docker: set adopt=True" in run.stderr
    assert host.run("dpkg-query -W -f '${Status}' podman-docker").stdout == "install ok installed"
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge podman podman-docker")
    host.run(f"{INSTALL} containerd runc", timeout=300)
    run = deploy(host, deploy=ALONE)
    assert "containerd runc" in run.stderr
    assert "adopt=True" in run.stderr
    installed = host.run("dpkg-query -W -f '${Package} ' containerd runc").stdout
    assert installed == "containerd runc "
    assert host.run("systemctl is-active containerd").stdout == "active\n"
