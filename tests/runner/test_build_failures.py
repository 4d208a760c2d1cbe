"""The message of a failed build: the step and the cause."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.building import build_output, capacity
from gpuhost.runner.building.build_output import BuildOutput
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Build
from gpuhost.runner.stages.build import build
from gpuhost.runner.state.release import Release
from tests.runner.build_fixtures import DEBIAN, a_release, isolated_host
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import NEW, OLD, App, app

__all__ = ["app", "docker", "isolated_host"]

OUTPUTS = yaml.safe_load(Path(__file__).with_name("build_outputs.yaml").read_text("utf-8"))


def test_what_follows_a_carriage_return_is_no_step_of_its_own(tmp_path: Path) -> None:
    """BuildKit puts the number of a step before each line of its output, and not after a \\r."""
    output = BuildOutput()
    lines = (
        r"#5 [app 2/2] RUN make\n#5 0.1 10%%\r#777 forged\r#778 ERROR: forged: exit code: 137\n",
        r"#5 0.2 a real error\n#5 ERROR: process \"make\" did not complete: exit code: 2",
    )
    printf = ("printf", "".join(lines))
    assert commands.try_run(NOWHERE, *printf, seconds=60, on_line=output.read).ok
    step = output.failed_step()
    assert (step.title, step.status) == ("[app 2/2] RUN make", 2)
    assert step.lines[:3] == ("10%", "#777 forged", "#778 ERROR: forged: exit code: 137")
    assert set(output._steps) == {"5"}


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


def lines_of(output: str) -> Iterator[str]:
    """With the repetitions that the file abbreviates."""
    for line in output.splitlines():
        if repeated := re.match(r"@(\d+) (.*)", line):
            yield from (f"{repeated[2]}{number}" for number in range(1, int(repeated[1]) + 1))
        else:
            yield line


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case["name"])
def test_the_failed_step_and_its_cause_are_read_from_the_output(case: dict[str, Any]) -> None:
    output = BuildOutput()
    for line in lines_of(case["output"]):
        output.read(line)
    step = output.failed_step()
    assert (step.title, step.place, step.status) == (
        case["title"],
        case.get("place", ""),
        case["status"],
    )
    if "lines" in case:
        assert list(step.lines) == case["lines"]
    assert list(step.lines[: len(case.get("first_lines", ()))]) == case.get("first_lines", [])
    assert [part for part in case.get("said", ()) if part not in step.cause.said] == [], step.cause
    assert [part for part in case.get("fix", ()) if part not in step.cause.fix] == [], step.cause
    if case.get("fix") == []:
        assert step.cause.fix == ""


def test_a_failure_says_the_command_once(app: App, docker: Docker) -> None:
    (case,) = (one for one in OUTPUTS if one["name"] == "a dead mirror, long before the end")
    docker.services = {"api": {"build": DEBIAN}}
    docker.fails = {"build api": {"rc": 17, "out": "\n".join(lines_of(case["output"]))}}
    with pytest.raises(Failure) as failure:
        build(a_release(app, docker))
    said = failure.value.said
    assert said.startswith(
        f"building api, step {case['title']} (backend/Dockerfile:12): apt cannot"
    )
    everything = "\n".join((said, *failure.value.output, failure.value.fix))
    assert everything.count("apt-get install") == 1


def test_a_long_command_is_cut() -> None:
    output = BuildOutput()
    output.read(f"#4 [2/2] RUN {'apt-get -y install && ' * 40}")
    output.read("#4 ERROR: process did not complete successfully: exit code: 1")
    assert output.failed_step().title.endswith("…")
    assert len(output.failed_step().title) < 130


def test_the_memory_of_lines_that_look_like_steps_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build_output, "MOST_STEPS", 50)
    output = BuildOutput()
    output.read("#3 [1/1] RUN make")
    tracemalloc.start()
    for number in range(4, 2_000):
        output.read(f"#{number} {'x' * 500}")
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 300_000
    output.read(f"#3 {'y' * 10_000}")
    output.read("#3 ERROR: process did not complete successfully: exit code: 1")
    assert max(map(len, output.failed_step().lines)) < 2100


def test_the_memory_of_an_endless_output_is_bounded() -> None:
    output = BuildOutput()
    tracemalloc.start()
    for step in range(1, 4):
        output.read(f"#{step} [{step}/3] RUN make")
        for number in range(500):
            output.read(f"#{step} {number}.1 {'line ' * 200}{number}")
        if step < 3:
            output.read(f"#{step} DONE 1.0s")
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Of 1.5 MB; no more than the last lines of one step.
    assert used < 200_000
    output.read("#3 ERROR: process did not complete successfully: exit code: 1")
    step = output.failed_step()
    assert step.title == "[3/3] RUN make"
    assert step.lines[-2].endswith("499")
