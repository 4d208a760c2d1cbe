"""Memory and disk for builds: what is free before them, and what they used."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpuhost.runner.building import capacity, memory_peak
from gpuhost.runner.lib.commands import Outcome
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Build
from gpuhost.runner.stages.build import build
from tests.runner.build_fixtures import DEBIAN, MEMINFO, a_release, isolated_host, log_text
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import OLD, App, app

__all__ = ["app", "docker", "isolated_host"]


@pytest.mark.parametrize(
    ("required", "message"),
    [
        (
            {"memory_gb": 6.1},
            r"need 6\.1 GB of memory .*, 6\.0 GB \(4\.0 GB and 2\.0 GB of swap\) free",
        ),
        ({"disk_gb": 10_000_000}, r"need 1e\+07 GB of disk space .*, .* has [\d.]+ [GM]B free"),
    ],
)
def test_too_little_memory_or_disk_is_refused_before_the_first_build(
    app: App, docker: Docker, required: dict[str, float], message: str
) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    with pytest.raises(Failure, match=message) as failure:
        build(a_release(app, docker, build=Build(**required)))  # type: ignore[arg-type]
    assert failure.value.fix
    assert docker.called("build") == []


def test_enough_memory_and_disk_or_nothing_to_build(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    release = a_release(app, docker, OLD, build=Build(memory_gb=6, disk_gb=0.001))
    build(release)
    assert "memory free: 6.0 GB" in log_text(release)
    docker.services, docker.registry = {"web": {"image": "redis:7"}}, {"redis:7": {}}
    build(a_release(app, docker, build=Build(memory_gb=999)))


def test_the_store_of_containerd_counts_too(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "CONTAINERD", tmp_path)
    docker.write()
    assert capacity.image_directories() == (docker.state.parent,)
    program = docker.state.parent / "bin/docker"
    store = '[["driver-type","io.containerd.snapshotter.v1"]]'
    program.write_text(f"#!/bin/sh\necho '\"{docker.state.parent}\" {store}'\n")
    assert capacity.image_directories() == (docker.state.parent, tmp_path)


@pytest.mark.parametrize(
    ("answer", "directory"),
    [('"/my disk/docker" []', "/my disk/docker"), ("no JSON", "/var/lib/docker")],
)
def test_any_answer_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, answer: str, directory: str
) -> None:
    monkeypatch.setattr(capacity, "try_run", lambda *_, **__: Outcome(0, answer, ()))
    assert capacity.image_directories() == (Path(directory),)


def test_each_disk_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=7, f_frsize=1))
    assert capacity.free((tmp_path, tmp_path.parent)) == 7
    assert capacity.free((tmp_path, Path("/proc"))) == 14


def test_zram_is_no_memory_beside_ram(tmp_path: Path) -> None:
    capacity.MEMINFO.write_text(MEMINFO.format(4 << 20, 6 << 20))
    head = "Filename Type Size Used Priority\n/swapfile file 2097152 0 -2\n"
    capacity.SWAPS.write_text(f"{head}/dev/zram0 partition {5 << 20} {1 << 20} 100\n")
    memory = capacity.read_memory()
    assert (memory.available >> 30, memory.swap_free >> 30) == (4, 2)


def test_the_memory_peak_of_a_build(tmp_path: Path) -> None:
    new = tmp_path / "cgroup/system.slice/docker-2.scope"
    old = tmp_path / "cgroup/system.slice/docker-1.scope"
    old.mkdir(parents=True)
    (old / "memory.peak").write_text("99999999999\n")
    with memory_peak.MemoryPeak() as peak:
        capacity.MEMINFO.write_text(MEMINFO.format(1 << 20, 1 << 20))
        new.mkdir()
        (new / "memory.peak").write_text("1073741824\n")
        peak._look()
        capacity.MEMINFO.write_text(MEMINFO.format(4 << 20, 2 << 20))
    assert peak.host == 4 << 30
    assert peak.group == 1 << 30
    assert str(peak) == "4.0 GB on the whole host; largest step 1.0 GB with caches"
    with memory_peak.MemoryPeak() as quiet:
        pass
    assert (quiet.host, quiet.group) == (0, None)
