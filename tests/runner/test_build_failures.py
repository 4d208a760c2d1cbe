"""The message of a failed build: the step and the cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.building import capacity
from gpuhost.runner.building.build_output import failed_step
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Build
from gpuhost.runner.stages.build import build
from gpuhost.runner.state.release import Release
from tests.runner.build_fixtures import DEBIAN, a_release, isolated_host
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import NEW, OLD, App, app

__all__ = ["app", "docker", "isolated_host"]

OUTPUTS = yaml.safe_load(Path(__file__).with_name("build_outputs.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("kernel", "said", "fix"),
    [
        (
            "[ 99.5] oom-kill:constraint=CONSTRAINT_NONE,task=cc1plus,pid=7\n"
            "[ 99.6] Out of memory: Killed process 7 (cc1plus) total-vm:9kB, anon-rss:2097152kB\n",
            "the host ran out of memory, and the kernel killed cc1plus (2.0 GB)",
            "swap_size_gb",
        ),
        (
            "[ 99.6] Memory cgroup out of memory: Killed process 7 (node) total-vm:9kB, "
            "anon-rss:524288kB, file-rss:0kB\n",
            "a memory limit was reached, and the kernel killed node (512 MB)",
            "raise the limit",
        ),
        # A kill before this build, and an unrelated line: neither is the cause.
        ("[  9.6] Out of memory: Killed process 7 (old) total-vm:9kB\n", "killed (137)", "dmesg"),
        ("[ 99.6] usb 1-1: new device\n", "killed (137)", "dmesg"),
    ],
)
def test_a_killed_build(app: App, docker: Docker, kernel: str, said: str, fix: str) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    out = '#4 [2/2] RUN make -j8\n#4 ERROR: process "make" did not complete: exit code: 137\n'
    docker.fails = {"build web": {"rc": 17, "out": out, "kernel": kernel}}
    release = a_release(app, docker)
    with pytest.raises(Failure) as failure:
        build(release)
    assert said in failure.value.said
    assert failure.value.said.startswith("building web, step [2/2] RUN make -j8: ")
    assert fix in failure.value.fix
    assert failure.value.output[-1].endswith("exit code: 137")
    assert "web" in Release.open(app.paths, NEW).record.build_memory


def test_a_kill_of_another_process_is_not_the_cause(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    docker.fails = {
        "build web": {
            "rc": 1,
            "out": "#4 [2/2] RUN apt-get\n#4 1.0 E: Unable to locate package curl\n"
            "#4 ERROR: process did not complete successfully: exit code: 100\n",
            "kernel": "[ 99.6] Out of memory: Killed process 7 (other) total-vm:9kB\n",
        }
    }
    with pytest.raises(Failure, match="apt does not know the package curl"):
        build(a_release(app, docker))


def test_the_first_failed_build_stops_the_stage(app: App, docker: Docker) -> None:
    docker.services = {"a": {"build": DEBIAN}, "b": {"build": DEBIAN}, "c": {"build": DEBIAN}}
    docker.fails = {"build b": {"rc": 1, "out": "failed to solve: nobody knows why"}}
    with pytest.raises(Failure, match="building b: failed to solve: nobody knows why"):
        build(a_release(app, docker))
    assert [words[-1] for words in docker.called("build")] == ["a", "b"]
    assert Release.open(app.paths, NEW).record.images == {}


def test_a_full_disk_names_inodes_or_space(
    app: App, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    docker.fails = {"build web": {"rc": 1, "out": "failed to solve: x: no space left on device"}}
    monkeypatch.setattr(capacity, "FEW_INODES", 1 << 62)
    with pytest.raises(Failure, match=r"the disk is full: .* has \d+ of \d+ inodes free"):
        build(a_release(app, docker, OLD))
    monkeypatch.setattr(capacity, "FEW_INODES", 0)
    monkeypatch.setattr(capacity, "LITTLE_DISK", 1 << 62)
    with pytest.raises(Failure, match=r"the disk is full: .* has [\d.]+ [GM]B free"):
        build(a_release(app, docker))


@pytest.mark.slow
def test_a_build_over_its_time_limit_is_stopped(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    docker.fails = {"build web": {"rc": 0, "out": "#3 [1/1] RUN sleep", "sleep": 60}}
    release = a_release(app, docker, build=Build(step_limit_s=2))
    with pytest.raises(Failure, match="did not end within 2 s") as failure:
        build(release)
    assert "build.step_limit_s" in failure.value.fix
    assert failure.value.output == ("#3 [1/1] RUN sleep",)


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case["name"])
def test_the_failed_step_is_read_from_the_output(case: dict[str, Any]) -> None:
    step = failed_step(case["output"])
    assert (step.title, step.status) == (case["title"], case["status"])
    assert list(step.lines) == case["lines"]
