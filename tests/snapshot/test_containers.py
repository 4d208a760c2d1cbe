"""Containers from `docker inspect`, in the format that the collector requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.containers import Binding, Containers, InspectedContainer

ROW = {
    "name": "/tts-web-1", "image": "sha256:aa", "state": "running", "health": "healthy",
    "exit_code": 0, "oom_killed": False, "started": "2026-11-22T05:23:08.354977282Z",
    "restarts": 2, "policy": "unless-stopped", "project": "tts", "service": "web",
    "directory": "/opt/gpuhost/tts/shared", "one_off": "False",
    "declared": {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "::1", "HostPort": "53"}],
        "9/tcp": [{"HostIp": "", "HostPort": ""}],
    },
    "bound": {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "9/tcp": None,
    },
}  # fmt: skip


def read(*rows: dict[str, Any], rc: int = 0, images: str = "") -> Containers:
    out = "".join(f"{json.dumps(row)}\n" for row in rows)
    return Containers.read(
        Probes({"docker_inspect": Probe(rc, out), "docker_images": Probe(0, images)})
    )


def test_a_container() -> None:
    (container,) = read(ROW).all
    assert container == InspectedContainer(
        "tts-web-1", "sha256:aa", "running", "tts", "web", "/opt/gpuhost/tts/shared",
        health="healthy", restarts=2, started=1795324988,
        declared=frozenset({Binding("", "8080", "tcp"), Binding("::1", "53", "udp")}),
        bound=frozenset({Binding("", "8080", "tcp")}),
    )  # fmt: skip
    assert container.running


def test_a_container_that_was_never_started_and_is_not_restarted() -> None:
    row = {**ROW, "state": "created", "started": "0001-01-01T00:00:00Z", "policy": "no"}
    (container,) = read({**row, "health": "none"}).all
    assert (container.started, container.ends, container.health) == (None, True, "")


def test_one_off_containers_are_not_part_of_the_project() -> None:
    containers = read(ROW, {**ROW, "name": "/run", "one_off": "True"}, {**ROW, "project": "other"})
    assert [container.name for container in containers.of_project("tts")] == ["tts-web-1"]


def test_tags() -> None:
    assert read(images="gpuhost/tts/web:aa\tsha256:aa\n").tags == {
        "gpuhost/tts/web:aa": "sha256:aa"
    }


@pytest.mark.parametrize(
    ("words", "binding"),
    [
        ("3000/tcp", Binding("", "3000", "tcp")),
        ("127.0.0.1:3000/tcp", Binding("127.0.0.1", "3000", "tcp")),
        ("::1:53/udp", Binding("::1", "53", "udp")),
        ("0.0.0.0:81-90/tcp", Binding("", "81-90", "tcp")),
    ],
)
def test_parse_a_port(words: str, binding: Binding) -> None:
    assert Binding.parse(words) == binding


def test_format_a_port() -> None:
    assert str(Binding("::1", "53", "udp")) == "[::1]:53/udp"
    assert str(Binding("", "53", "udp")) == "53/udp"


def test_a_container_that_vanishes_hides_no_other() -> None:
    assert len(read(ROW, rc=123).all) == 1


def test_an_engine_that_stops_meanwhile_is_not_read() -> None:
    gone = "Error response from daemon: No such container: 5f"
    away = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    images = Probe(0)
    assert not Containers.read(
        Probes({"docker_inspect": Probe(123, "\n", f"{gone}\n"), "docker_images": images})
    ).all
    with pytest.raises(NotRead, match="Cannot connect"):
        Containers.read(
            Probes({"docker_inspect": Probe(123, "", f"{gone}\n{away}"), "docker_images": images})
        )


@pytest.mark.parametrize("probe", [Probe(None), Probe(1, "", "no daemon"), Probe(0, "{")])
def test_an_unreadable_probe_is_not_read(probe: Probe) -> None:
    with pytest.raises(NotRead):
        Containers.read(Probes({"docker_inspect": probe, "docker_images": Probe(0)}))


def test_no_engine() -> None:
    with pytest.raises(NotRead, match=r"docker\.service is not running"):
        Containers.read(Probes({}))


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(row=st.fixed_dictionaries(dict.fromkeys(ROW, values)))
def test_any_row_is_containers_or_not_read(row: dict[str, Any]) -> None:
    assert len(read(row).all) == 1
