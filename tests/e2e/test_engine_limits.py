"""The limits of containers, with real systemd, containerd, dockerd and runc: what a reading says is
what a container gets, and what it says is refused does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpuhost.domain.docker.ulimits import Limit
from gpuhost.plans.request import request_for
from gpuhost.plans.ulimits import engine_defaults, inherited, refused
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.transport import decode
from tests.e2e.test_docker import DAEMON_JSON, SHELL
from tests.e2e.test_docker_others import INSTALL
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

DROP_IN = "/etc/systemd/system/containerd.service.d/limits.conf"
RESTART = "systemctl daemon-reload; systemctl reset-failed; systemctl restart containerd docker"


@pytest.fixture(scope="module")
def installed(hosts: Hosts) -> LabHost:
    (host,) = hosts(HostSpec("engine-limits", "trixie"))
    host.reset()
    host.run(f"{INSTALL} docker.io docker-cli", timeout=300)
    host.run(SHELL)
    return host


@pytest.fixture
def engine(installed: LabHost) -> Iterator[LabHost]:
    yield installed
    installed.run(f"rm -f {DROP_IN} {DAEMON_JSON}; {RESTART}")


def limits(host: LabHost, text: str) -> None:
    host.run(f"mkdir -p {DROP_IN.rpartition('/')[0]}")
    host.put(DROP_IN, f"[Service]\n{text}\n".encode())
    host.run(RESTART)


def reading(host: LabHost) -> Snapshot:
    host.put("/tmp/read.sh", script(request_for(Settings())).encode())
    reply = host.run("sh </tmp/read.sh; rm /tmp/read.sh").stdout
    return Snapshot(decode(reply.splitlines()))


def in_a_container(host: LabHost, flags: str = "") -> Limit:
    ask = "ulimit -Sn; ulimit -Hn"
    given = host.run(f"docker run --rm {flags} shell /bin/sh -c '{ask}'").stdout.split()
    return Limit(*map(int, given))


@pytest.mark.parametrize("unit", ["LimitNOFILE=1024:4096", "LimitNOFILE=8192", "# as packaged"])
def test_what_a_container_inherits(engine: LabHost, unit: str) -> None:
    limits(engine, unit)
    assert inherited(reading(engine), "nofile") == in_a_container(engine)


def test_the_default_of_daemon_json(engine: LabHost) -> None:
    engine.run("mkdir -p /etc/docker")
    ulimits = '{"nofile": {"Name": "nofile", "Soft": 2048, "Hard": 4096}}'
    engine.put(DAEMON_JSON, f'{{"default-ulimits": {ulimits}}}'.encode())
    engine.run(RESTART)
    assert engine_defaults(reading(engine))["nofile"] == in_a_container(engine) == Limit(2048, 4096)


@pytest.mark.parametrize(
    ("name", "soft", "hard", "error"),
    [
        ("nofile", 4096, 4096, ""),
        ("nofile", 1024, 6000, "rlimit type 7: operation not permitted"),
        ("nofile", -1, -1, "rlimit type 7: operation not permitted"),
        ("memlock", -1, -1, "rlimit type 8: operation not permitted"),
        ("memlock", 65536, 65536, ""),
    ],
)
def test_what_is_refused(engine: LabHost, name: str, soft: int, hard: int, error: str) -> None:
    """The lab's hosts lack CAP_SYS_RESOURCE, as a host does that is a container."""
    limits(engine, "LimitNOFILE=1024:4096\nLimitMEMLOCK=131072")
    start = f"docker run --rm --ulimit {name}={soft}:{hard} shell /bin/sh -c true"
    done = engine.run(start, check=False)
    assert error in done.stderr
    assert (done.status == 0) == (not error)
    wanted = Limit(soft % 2**64, hard % 2**64)
    said = [what for what, _ in refused(reading(engine), {name: wanted})]
    assert bool(said) == bool(error), said
