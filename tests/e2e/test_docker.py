"""The engine on real hosts: configured, changed by hand, repaired; one in use is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.e2e.drifting import drift
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab

ALONE = "tests/e2e/docker_alone.py"
DAEMON_JSON = "/etc/docker/daemon.json"
# An image of the host's own shell and C library: these hosts reach no registry.
SHELL = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && cp --parents -L /bin/sh /bin/sleep "
    "$(ldd /bin/sh /bin/sleep | grep -o '/[^ ]*') . 2>/dev/null; tar c . | docker import - shell"
)
SERVICE = "docker run -d --name service shell /bin/sleep 100000"


@pytest.fixture(scope="module")
def with_engine(hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with a configured engine and no card."""
    booted = hosts(*(HostSpec(f"docker-{release}", release) for release in RELEASES))
    run = deploy(*booted, deploy=ALONE)
    assert run.status == 0, run.stderr
    for host in booted:
        host.run(SHELL)
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, with_engine: dict[str, LabHost]) -> LabHost:
    return with_engine[request.param]


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy=ALONE, **settings)


def docker(host: LabHost, **settings: Any) -> dict[str, str]:
    """The failing and unknown checks of the engine, with their status."""
    status = check(host, **settings).status
    return {
        id: value
        for id, value in status.items()
        if id.startswith("docker.") and value not in ("ok", "skip", "warn")
    }


def daemon_json(host: LabHost) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(host.run(f"cat {DAEMON_JSON}").stdout)
    return values


@pytest.mark.every_release
def test_a_second_run_changes_nothing(host: LabHost) -> None:
    run = provision(host)
    assert (run.status, run.changed) == (0, {})
    assert docker(host) == {}


TAMPERS = {
    "docker.repository": "echo 'Types: deb' >/etc/apt/sources.list.d/docker.sources",
    "docker.packages": "apt-get -q -y remove docker-buildx-plugin",
    "docker.engine": "systemctl disable --now docker.service docker.socket",
    "docker.config": "sed -i '/max-size/d' /etc/docker/daemon.json",
    # As firewall scripts do, and csf.
    "docker.network": "iptables -F; iptables -t nat -F",
    "docker.live": "touch -d '+2 seconds' /etc/docker/daemon.json",
}
# Checks that may fail too.
ALSO_FAILS = {"docker.packages": {"docker.buildx"}, "docker.config": {"docker.live"}}


@pytest.mark.parametrize("id", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, id: str) -> None:
    host.run(TAMPERS[id])
    statuses = docker(host)
    assert statuses.pop(id) == "fail"
    assert set(statuses) <= ALSO_FAILS.get(id, set())
    run = provision(host)
    assert run.status == 0, run.stderr
    assert docker(host) == {}


def test_a_key_added_by_hand_stays(host: LabHost) -> None:
    values = {**daemon_json(host), "debug": True}
    host.put(DAEMON_JSON, json.dumps(values).encode())
    assert provision(host, docker_log_max_size="20m").status == 0
    assert daemon_json(host)["debug"] is True
    assert daemon_json(host)["log-opts"]["max-size"] == "20m"
    assert docker(host, docker_log_max_size="20m") == {}
    assert provision(host).status == 0
    assert daemon_json(host)["log-opts"]["max-size"] == "10m"


def test_a_configuration_that_the_engine_rejects_is_rolled_back(host: LabHost) -> None:
    before = host.run(f"cat {DAEMON_JSON}").stdout
    # Both are valid JSON; the engine rejects the first one, and does not start with the second.
    run = provision(host, docker_features={"no such feature": True}, docker_data_root="/proc/x")
    assert run.status == 1
    assert host.run(f"cat {DAEMON_JSON}").stdout == before
    assert host.run("systemctl is-active docker").stdout == "active\n"
    assert docker(host) == {}
    # A key that somebody added: the engine would run on until the next boot.
    host.put(DAEMON_JSON, json.dumps({**json.loads(before), "foo-bar": 1}).encode())
    assert docker(host) == {"docker.config": "fail"}
    run = provision(host)
    assert run.changed == {}
    assert "foo-bar: repair it first" in run.stderr
    assert host.run("systemctl is-active docker").stdout == "active\n"
    host.put(DAEMON_JSON, before.encode())
    assert provision(host).status == 0
    assert docker(host) == {}


@pytest.mark.matrix
def test_the_reason_of_an_engine_that_does_not_start_is_told(host: LabHost) -> None:
    run = provision(host, docker_data_root="/proc/x")
    assert run.status == 1
    assert "the previous one is restored: " in run.stderr
    assert "/proc/x: no such file or directory" in run.stderr
    assert docker(host) == {}


@pytest.mark.matrix
def test_an_engine_that_does_not_answer_is_restarted(host: LabHost) -> None:
    host.run(SERVICE)
    started = host.run("docker inspect -f '{{.State.StartedAt}}' service").stdout
    try:
        host.run("kill -STOP $(pidof dockerd)")
        assert docker(host) == {"docker.engine": "fail"}
        run = provision(host)
        assert run.status == 0, run.stderr
        assert host.run("docker inspect -f '{{.State.StartedAt}}' service").stdout == started
        assert docker(host) == {}
    finally:
        host.run("kill -CONT $(pidof dockerd); timeout 30 docker rm -f service")


OWN_UNIT = "/etc/systemd/system/docker.service"
NOT_AT_BOOT = {
    "disabled": "systemctl disable docker.service",
    "no [Install]": "systemctl disable docker.service; "
    f"sed '/^.Install/,$d' /lib/systemd/system/docker.service >{OWN_UNIT}; systemctl daemon-reload",
}


@pytest.mark.matrix
@pytest.mark.parametrize("change", NOT_AT_BOOT)
def test_an_engine_that_runs_is_started_at_boot_again(host: LabHost, change: str) -> None:
    """One run repairs it, and systemd does not read its units again."""
    host.run(NOT_AT_BOOT[change])
    try:
        assert docker(host) == {"docker.engine": "fail"}
        run = provision(host)
        assert run.status == 0, run.stderr
        assert docker(host) == {}
        assert provision(host).changed == {}
        host.run("systemctl daemon-reload")
        wants = host.run("systemctl show -P Wants multi-user.target").stdout
        assert "docker.service" in wants.split()
        assert docker(host) == {}
    finally:
        host.run(f"rm -f {OWN_UNIT}; systemctl daemon-reload; systemctl enable docker.service")


@pytest.mark.matrix
def test_what_containers_publish_without_the_userland_proxy_is_not_the_api(host: LabHost) -> None:
    kept = host.run(f"cat {DAEMON_JSON}").stdout
    host.put(DAEMON_JSON, json.dumps({**json.loads(kept), "userland-proxy": False}).encode())
    host.run(f"systemctl restart docker; {SERVICE.replace('service', 'service -p 8080:80', 1)}")
    try:
        assert '"dockerd"' in host.run("ss -Hltnp 'sport = :8080'").stdout
        assert docker(host) == {}
    finally:
        host.put(DAEMON_JSON, kept.encode())
        host.run("docker rm -f service; systemctl restart docker")
    assert docker(host) == {}


def test_containers_survive_a_new_configuration(host: LabHost) -> None:
    host.run(SERVICE)
    try:
        started = host.run("docker inspect -f '{{.State.StartedAt}}' service").stdout
        assert provision(host, docker_log_max_file=5).status == 0
        assert host.run("docker inspect -f '{{.State.StartedAt}}' service").stdout == started
        assert docker(host, docker_log_max_file=5) == {}
        assert provision(host).status == 0
        assert not [id for id, cause in drift(host).wrong.items() if cause == "unknown"], (
            "containers without a health check are read too"
        )
    finally:
        host.run("docker rm -f service")


def test_a_missed_restart_is_made_by_the_next_run(host: LabHost) -> None:
    config = {**daemon_json(host), "registry-mirrors": ["https://mirror.invalid"]}
    host.put(DAEMON_JSON, json.dumps(config).encode())
    settings = {"docker_registry_mirrors": ["https://mirror.invalid"]}
    assert docker(host, **settings) == {"docker.live": "fail"}
    assert provision(host, **settings).status == 0
    assert docker(host, **settings) == {}
    assert (
        "https://mirror.invalid/" in host.run("docker info -f '{{.RegistryConfig.Mirrors}}'").stdout
    )
    # Without the setting, its key is removed.
    assert provision(host).status == 0
    assert "registry-mirrors" not in daemon_json(host)


def test_an_undeclared_key_is_refused_and_nothing_is_installed(hosts: Hosts) -> None:
    (host,) = hosts(HostSpec("docker-refused", "trixie"))
    run = provision(host, docker_key_fingerprint="A" * 40)
    assert run.status == 1
    assert "not the declared AAAAAAAAAA" in run.stderr
    assert host.run("command -v dockerd", check=False).status != 0
    assert host.run("ls /etc/apt/keyrings/docker.asc", check=False).status != 0


@pytest.fixture
def engine_in_use(hosts: Hosts) -> LabHost:
    """A server in use: the distribution's engine, its own configuration, a running container."""
    (host,) = hosts(HostSpec("docker-used", "trixie"))
    host.reset()
    host.put(DAEMON_JSON, b'{"debug": true, "log-driver": "local"}')
    host.run("apt-get -q update")
    install = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install docker.io docker-cli"
    host.run(install, timeout=300)
    host.run(SHELL)
    host.run(SERVICE)
    return host


def test_an_engine_in_use_is_not_replaced_without_adopt(engine_in_use: LabHost) -> None:
    started = engine_in_use.run("docker inspect -f '{{.State.StartedAt}}' service").stdout
    run = provision(engine_in_use)
    assert "holds containers: service" in run.stderr
    assert engine_in_use.run("docker inspect -f '{{.State.StartedAt}}' service").stdout == started
    assert daemon_json(engine_in_use)["log-driver"] == "local"
    assert daemon_json(engine_in_use)["debug"] is True
    finding = check(engine_in_use).findings["docker.packages"]
    assert "service" in finding["fix"]
    assert "adopt=True" in finding["fix"]
    adopted = provision(engine_in_use, adopt=True)
    assert adopted.status == 0, adopted.stderr
    assert (
        engine_in_use.run("dpkg-query -W -f '${db:Status-Status}' docker-ce").stdout == "installed"
    )
    assert daemon_json(engine_in_use)["log-driver"] == "json-file"
    assert daemon_json(engine_in_use)["debug"] is True
    assert engine_in_use.run("docker ps -a --format '{{.Names}}'").stdout == "service\n", (
        "data is kept"
    )
    assert docker(engine_in_use, adopt=True) == {}
