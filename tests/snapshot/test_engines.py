"""Processes and sockets of engines, through the collector's own script."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.engines import PROCESSES, EngineProcess, Engines
from tests.snapshot.local import collect

HOST = "'/proc/self/ns/pid' -> 'pid:[9]'\n'/proc/self/ns/net' -> 'net:[9]'\n"


def read(processes: str, sockets: str = "") -> Engines:
    return Engines.read(
        Probes({"engines": Probe(0, processes), "engine_sockets": Probe(0, sockets)})
    )


CGROUPS = {
    "0::/system.slice/docker.service": ("docker.service", False),
    "9:name=systemd:/docker/0a/system.slice/docker.service": ("docker.service", False),
    "4:memory:/system.slice/docker.service": ("", False),
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service": (
        "user@1000.service",
        True,
    ),
    "0::/user.slice/user-0.slice/session-4.scope": ("session-4.scope", False),
    "0::/system.slice/snap.docker.dockerd.service/child": ("snap.docker.dockerd.service", False),
    "0::/": ("", False),
}


@pytest.mark.parametrize("cgroup", CGROUPS)
def test_the_unit_that_holds_a_process(cgroup: str) -> None:
    unit, rootless = CGROUPS[cgroup]
    engines = read(f"/proc/7/comm:dockerd\n/proc/7/cgroup:{cgroup}\n")
    assert engines.processes == (EngineProcess("dockerd", unit, 7, rootless),)


# The namespaces of its process ids and of its network; those of the host are 9.
NAMESPACES = {
    "of the host": (9, 9, [False]),
    "a network of its own": (9, 8, [True]),
    "inside a container": (8, 8, []),
    "not readable": (None, None, [False]),
}


@pytest.mark.parametrize("name", NAMESPACES)
def test_processes_of_containers_are_not_the_hosts(name: str) -> None:
    pids, network, rootless = NAMESPACES[name]
    text = f"/proc/7/comm:dockerd\n{HOST}"
    if pids is not None:
        text += f"'/proc/7/ns/pid' -> 'pid:[{pids}]'\n'/proc/7/ns/net' -> 'net:[{network}]'\n"
    processes = read(text).processes
    assert [process.rootless for process in processes] == rootless


def test_sockets_that_engines_listen_on() -> None:
    row = "0000000000000000: 00000002 00000000 00010000 0001 01 4242"
    sockets = f"{row} /run/docker.sock\n{row} /run/podman/podman.sock\n{row} /run/docker.sock\n"
    assert read("", sockets).sockets == ("/run/docker.sock", "/run/podman/podman.sock")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real process with an engine's name."""
    sleep = shutil.which("sleep")
    assert sleep
    shutil.copy(sleep, tmp_path / "balenad")
    with subprocess.Popen([tmp_path / "balenad", "100"]) as running:
        yield running
        running.kill()


def test_a_real_process(process: subprocess.Popen[bytes]) -> None:
    done = subprocess.run(["sh", "-c", PROCESSES], capture_output=True, text=True, check=True)
    assert process.pid in [
        each.pid for each in read(done.stdout).processes if each.program == "balenad"
    ]


@pytest.mark.slow
def test_a_real_socket(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert str(path) not in collect().snapshot.engines.sockets, "it does not listen yet"
        listener.listen()
        path.chmod(0o666)
        snapshot = collect().snapshot
        assert str(path) in snapshot.engines.sockets
        (access,) = [each for each in snapshot.engine_sockets.access if each.path == str(path)]
        assert (access.mode, access.group_may) == ("0666", True)
        # pytest's directories are its user's own.
        assert (access.hidden, access.others_may) == (True, False)
        tmp_path.chmod(0o755)
        (access,) = [
            each for each in collect().snapshot.engine_sockets.access if each.path == str(path)
        ]
        assert access.others_may
