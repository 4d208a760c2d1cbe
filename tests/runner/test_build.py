"""Every image of a release is here, built one at a time, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner import memory_peak, proxy, registry, room
from gpuhost.runner.build import build
from gpuhost.runner.build_output import failed_step
from gpuhost.runner.failure import Failure
from gpuhost.runner.plan import Build, Gpu, Migrate, Registry, Source
from gpuhost.runner.release import Release
from tests.runner.at_hand import NEW, OLD, App, app
from tests.runner.stand_in import Docker, docker

__all__ = ["app", "docker"]

OUTPUTS = yaml.safe_load(Path(__file__).with_name("build_outputs.yaml").read_text("utf-8"))
DEBIAN = {"dockerfile_inline": "FROM debian:12\n"}
PASSWORD = "p4ss-w0rd-of-the-registry"
MEMINFO = "MemTotal: 8000000 kB\nMemAvailable: {} kB\nSwapTotal: 1 kB\nSwapFree: {} kB\n"


@pytest.fixture(autouse=True)
def of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine decides."""
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    monkeypatch.setattr(registry, "OWN_PLUGINS", tmp_path / "plugins")
    monkeypatch.setattr(memory_peak, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "meminfo")
    room.MEMINFO.write_text(MEMINFO.format(4 << 20, 2 << 20))


def a_release(app: App, docker: Docker, release_id: str = NEW, **plan: Any) -> Release:
    docker.write()
    release = app.release(release_id, **{"source": Source("archive", release_id), **plan})
    release.paths.source.mkdir()
    return release


def log_of(release: Release) -> str:
    return release.paths.log.read_text()


def test_images_are_pulled_built_recorded_and_kept(app: App, docker: Docker) -> None:
    docker.services = {
        "web": {"build": {**DEBIAN, "context": "/x"}},
        "cache": {"image": "redis:7"},
        "Old_Worker.2": {"image": "app-web"},
    }
    docker.hidden = {"migrate": {"image": "tool", "build": {"dockerfile_inline": "FROM app-web"}}}
    docker.registry = {"redis:7": {}}
    release = a_release(app, docker, migrate=Migrate("migrate"))
    build(release)
    assert docker.called("pull") == [["pull", "cache"]]
    assert docker.called("build") == [["build", "web"], ["build", "migrate"]]
    docker.read()
    record = Release.open(app.paths, NEW).record
    assert record.images == {
        name: docker.tags[image]
        for name, image in (
            ("web", "app-web:latest"),
            ("cache", "redis:7"),
            ("Old_Worker.2", "app-web:latest"),
            ("migrate", "tool:latest"),
        )
    }
    web = record.images["web"].removeprefix("sha256:")[:12]
    assert record.tags["web"] == f"gpuhost/app/web:{web}"
    assert record.tags["Old_Worker.2"] == f"gpuhost/app/old-worker-2:{web}"
    assert {docker.tags[tag] for tag in record.tags.values()} == set(record.images.values())
    assert set(record.build_memory) == {"web", "migrate"}


def test_builds_are_told_what_the_plan_says_and_know_no_secret(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    release = a_release(
        app,
        docker,
        profiles=("gpu",),
        build=Build(args={"PIP": "https://i.example/simple", "B": "x y"}, no_cache=True),
    )
    release.paths.host.write_text("{}")
    build(release)
    call = next(call for call in docker.calls if "build" in call["words"])
    words = call["words"]
    assert words[-6:] == ["--no-cache", "--build-arg", "B=x y", "--build-arg",
                          "PIP=https://i.example/simple", "web"]  # fmt: skip
    assert words.index("--progress=plain") < words.index("build")
    assert words[words.index("--profile") :][:2] == ["--profile", "gpu"]
    assert str(release.paths.host) not in words
    assert call["env"]["GPUHOST_SOURCE"] == str(release.paths.source)
    assert "DOCKER_CONFIG" not in call["env"]


def test_the_same_again_makes_the_same(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}, "cache": {"image": "redis:7"}}
    docker.registry = {"redis:7": {}}
    release = a_release(app, docker)
    build(release)
    first = Release.open(app.paths, NEW).record
    build(Release.open(app.paths, NEW))
    second = Release.open(app.paths, NEW).record
    assert (first.images, first.tags) == (second.images, second.tags)
    assert len(docker.called("pull")) == 1
    assert "redis:7 is here: sha256:" in log_of(release)


@pytest.mark.parametrize(
    ("policy", "is_here", "pulls"),
    [("", True, 0), ("", False, 1), ("missing", True, 0), ("always", True, 1), ("never", True, 0)],
)
def test_when_an_image_is_pulled(
    app: App, docker: Docker, policy: str, is_here: bool, pulls: int
) -> None:
    docker.services = {name: {"image": "redis:7", "pull_policy": policy} for name in ("a", "b")}
    docker.registry = {"redis:7": {}}
    if is_here:
        docker.images = {"sha256:" + "a" * 64: {"Id": "sha256:" + "a" * 64}}
        docker.tags = {"redis:7": "sha256:" + "a" * 64}
    build(a_release(app, docker))
    assert len(docker.called("pull")) == pulls


@pytest.mark.parametrize(
    ("service", "said", "fix"),
    [
        ({"image": "me/none:1"}, "pulling me/none:1: there is no image me/none", "registries"),
        ({"image": "me/none:1", "pull_policy": "never"}, "of service web is not on this host",
         "docker load"),
    ],
)  # fmt: skip
def test_an_image_that_nobody_has(
    app: App, docker: Docker, service: dict[str, Any], said: str, fix: str
) -> None:
    docker.services = {"web": service}
    with pytest.raises(Failure, match=said) as failure:
        build(a_release(app, docker))
    assert fix in failure.value.fix


def an_id(number: int) -> str:
    return f"20260101-000000-{number:08x}"


def test_a_base_is_built_where_it_is_missing_and_when_what_it_is_made_of_changes(
    app: App, docker: Docker
) -> None:
    docker.services = {"web": {"build": {"dockerfile_inline": "FROM base:1"}}}

    def built(number: int, revision: str, **more: Any) -> int:
        """How often the base is built by a release of this revision."""
        before = len(docker.called("build"))
        release = a_release(
            app,
            docker,
            an_id(number),
            source=Source("archive", revision),
            build=Build(bases={"base:1": (".", "base")}, **more),
        )
        (release.paths.source / "base").write_text(f"FROM debian:{revision}")
        build(release)
        docker.read()
        return len(docker.called("build")) - before - 1

    assert built(1, "one") == 1
    assert built(2, "one") == 0
    assert built(3, "one", no_cache=True) == 1
    assert built(4, "two") == 1
    assert built(5, "two", args={"A": "b"}) == 1
    docker.tags.pop("base:1")
    assert built(6, "two", args={"A": "b"}) == 1
    # One that somebody loaded is theirs, whatever the source says.
    docker.images["sha256:" + "e" * 64] = {"Id": "sha256:" + "e" * 64}
    docker.tags["base:1"] = "sha256:" + "e" * 64
    assert built(7, "three", no_cache=True) == 0
    assert docker.tags["base:1"] == "sha256:" + "e" * 64
    assert "not built by gpuhost: kept" in log_of(Release.open(app.paths, an_id(7)))
    base = next(words for words in docker.called("build") if "--tag" in words)
    context = app.paths.release(an_id(1)).source
    assert base == ["build", "--progress=plain", "--tag", "base:1", "--file",
                    str(context / "base"), str(context)]  # fmt: skip


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
            "a memory limit was reached, and the kernel killed node (0.5 GB)",
            "raise the limit",
        ),
        # Before this build, and something else: neither is its cause.
        ("[  9.6] Out of memory: Killed process 7 (old) total-vm:9kB\n", "killed (137)", "dmesg"),
        ("[ 99.6] usb 1-1: new device\n", "killed (137)", "dmesg"),
    ],
)
def test_a_build_that_is_killed(app: App, docker: Docker, kernel: str, said: str, fix: str) -> None:
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


def test_a_kill_elsewhere_is_not_what_failed(app: App, docker: Docker) -> None:
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


def test_the_first_build_that_fails_ends_it(app: App, docker: Docker) -> None:
    docker.services = {"a": {"build": DEBIAN}, "b": {"build": DEBIAN}, "c": {"build": DEBIAN}}
    docker.fails = {"build b": {"rc": 1, "out": "failed to solve: nobody knows why"}}
    with pytest.raises(Failure, match="building b: failed to solve: nobody knows why"):
        build(a_release(app, docker))
    assert [words[-1] for words in docker.called("build")] == ["a", "b"]
    assert Release.open(app.paths, NEW).record.images == {}


def test_the_disk_is_full_of_what(
    app: App, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    docker.fails = {"build web": {"rc": 1, "out": "failed to solve: x: no space left on device"}}
    monkeypatch.setattr(room, "FEW_INODES", 1 << 62)
    with pytest.raises(Failure, match=r"the disk is full: .* has \d+ inodes left of \d+"):
        build(a_release(app, docker, OLD))
    monkeypatch.setattr(room, "FEW_INODES", 0)
    monkeypatch.setattr(room, "LITTLE_DISK", 1 << 62)
    with pytest.raises(Failure, match=r"the disk is full: .* has [\d.]+ GB left"):
        build(a_release(app, docker))


def test_a_build_that_takes_too_long(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    docker.fails = {"build web": {"rc": 0, "out": "#3 [1/1] RUN sleep", "sleep": 60}}
    release = a_release(app, docker, build=Build(step_limit_s=2))
    with pytest.raises(Failure, match="did not end within 2 s") as failure:
        build(release)
    assert "build.step_limit_s" in failure.value.fix
    assert failure.value.output == ("#3 [1/1] RUN sleep",)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"memory_gb": 6.1},
            r"need 6\.1 GB of memory, and 6\.0 GB \(4\.0 GB and 2\.0 GB of swap\)",
        ),
        ({"disk_gb": 10_000_000}, r"need 1e\+07 GB of disk, and .* has [\d.]+ GB left"),
    ],
)
def test_too_little_room_is_said_before_the_first_build(
    app: App, docker: Docker, wanted: dict[str, float], said: str
) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    with pytest.raises(Failure, match=said) as failure:
        build(a_release(app, docker, build=Build(**wanted)))  # type: ignore[arg-type]
    assert failure.value.fix
    assert docker.called("build") == []


def test_enough_room_or_nothing_to_build(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}}
    release = a_release(app, docker, OLD, build=Build(memory_gb=6, disk_gb=0.001))
    build(release)
    assert "memory left: 6.0 GB" in log_of(release)
    docker.services, docker.registry = {"web": {"image": "redis:7"}}, {"redis:7": {}}
    build(a_release(app, docker, build=Build(memory_gb=999)))


def test_containerds_own_store_is_asked_as_well(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CONTAINERD", tmp_path)
    docker.write()
    assert room.image_places() == (docker.state.parent,)
    program = docker.state.parent / "bin/docker"
    store = '[["driver-type","io.containerd.snapshotter.v1"]]'
    program.write_text(f"#!/bin/sh\necho '\"{docker.state.parent}\" {store}'\n")
    assert room.image_places() == (docker.state.parent, tmp_path)


def test_the_most_memory_is_what_fell_away_meanwhile(tmp_path: Path) -> None:
    new = tmp_path / "cgroup/system.slice/docker-2.scope"
    old = tmp_path / "cgroup/system.slice/docker-1.scope"
    old.mkdir(parents=True)
    (old / "memory.peak").write_text("99999999999\n")
    with memory_peak.MemoryPeak() as peak:
        room.MEMINFO.write_text(MEMINFO.format(1 << 20, 1 << 20))
        new.mkdir()
        (new / "memory.peak").write_text("1073741824\n")
        peak._look()
        room.MEMINFO.write_text(MEMINFO.format(4 << 20, 2 << 20))
    assert peak.host == 4 << 30
    assert peak.group == 1 << 30
    assert str(peak) == (
        "4.0 GB more than before (all of the host); the largest step alone 1.0 GB, with files"
    )
    with memory_peak.MemoryPeak() as quiet:
        pass
    assert (quiet.host, quiet.group) == (0, None)


def test_registries_are_logged_in_to_before_anything_is_pulled(app: App, docker: Docker) -> None:
    proxies = {"default": {"httpProxy": "http://10.0.0.1:3128"}}
    proxy.CLIENT.write_text(json.dumps({"proxies": proxies, "auths": {"other": {"auth": "eA=="}}}))
    registry.OWN_PLUGINS.mkdir()
    docker.services, docker.registry = (
        {"web": {"image": "r.example/web:1"}},
        {"r.example/web:1": {}},
    )
    release = a_release(
        app, docker, given={"PW": PASSWORD}, registries=(Registry("r.example", "ada", "PW"),)
    )
    build(release)
    login = next(call for call in docker.calls if call["words"][0] == "login")
    assert login["words"] == ["login", "--username", "ada", "--password-stdin", "r.example"]
    assert login["stdin"] == PASSWORD
    pulled = next(call for call in docker.calls if "pull" in call["words"])
    assert docker.calls.index(login) < docker.calls.index(pulled)
    assert {login["env"]["DOCKER_CONFIG"], pulled["env"]["DOCKER_CONFIG"]} == {
        str(app.paths.docker)
    }
    config = app.paths.docker / "config.json"
    assert json.loads(config.read_text()) == {
        "proxies": proxies,
        "cliPluginsExtraDirs": [str(registry.OWN_PLUGINS)],
    }
    assert config.stat().st_mode & 0o777 == 0o600
    assert app.paths.docker.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in log_of(release)
    # A release without registries leaves no login behind.
    build(a_release(app, docker, OLD))
    assert not app.paths.docker.exists()


def test_a_login_that_is_refused(app: App, docker: Docker) -> None:
    docker.fails = {
        "login r.example": {
            "rc": 1,
            "out": "Error response from daemon: Get x: unauthorized: incorrect username or "
            f"password {PASSWORD}",
        }
    }
    registries = (Registry("r.example", "ada", "PW"),)
    release = a_release(app, docker, given={"PW": PASSWORD}, registries=registries)
    with pytest.raises(Failure, match=r"docker login r\.example: .* refuses the login") as failure:
        build(release)
    assert PASSWORD not in str((failure.value.output, failure.value.said, log_of(release)))
    with pytest.raises(Failure, match="the secret PW was not given"):
        build(a_release(app, docker, OLD, registries=registries))


GPU = Gpu("web", driver="535.183.01", cuda="12.2", brand="geforce", compute_capability="8.9")


@pytest.mark.parametrize(
    ("image", "own", "gpu", "refused"),
    [
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.1"], {}, GPU, ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla,driver>=535,driver<536"], {}, GPU,
         r"driver 535\.183\.01 \(CUDA 12\.2, brand geforce\) meets none of: cuda>=12\.6 brand"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6"], {"NVIDIA_DISABLE_REQUIRE": "1"}, GPU, ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.1"], {"NVIDIA_REQUIRE_CUDA": "cuda>=13.0"}, GPU,
         r"meets none of: cuda>=13\.0"),
        (["NVIDIA_REQUIRE_ARCH=arch>=9.0"], {}, GPU, r"meets none of: arch>=9\.0"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=99"], {}, Gpu("other", driver="535.1", cuda="12.2"), ""),
        # Not known is not refused: the log says that it could not be told.
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6"], {}, Gpu("web"), ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=9.0"], {}, Gpu("web", driver="390.157"), "driver 390"),
        (["PATH=/bin"], {}, GPU, ""),
    ],
)  # fmt: skip
def test_the_driver_has_what_the_image_asks_for(
    app: App, docker: Docker, image: list[str], own: dict[str, str], gpu: Gpu, refused: str
) -> None:
    docker.services = {"web": {"image": "cuda:1", "environment": {**own, "NONE": None}}}
    docker.registry = {"cuda:1": {"env": image}}
    release = a_release(app, docker, gpu=(gpu,))
    if not refused:
        build(release)
        assert ("web on driver" in log_of(release)) == (gpu.service == "web")
        return
    with pytest.raises(Failure, match=refused) as failure:
        build(release)
    assert "nvidia_branch" in failure.value.fix


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case["name"])
def test_the_step_that_failed(case: dict[str, Any]) -> None:
    step = failed_step(case["output"])
    assert (step.title, step.status) == (case["title"], case["status"])
    assert list(step.lines) == case["lines"]
