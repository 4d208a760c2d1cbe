"""A Compose file is read in all forms that Compose accepts."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from gpuhost.appfile.compose.cards import FileCards
from gpuhost.appfile.compose.merging import untagged
from gpuhost.appfile.compose.model import (
    ComposeBuild,
    ComposeResource,
    ComposeService,
    EnvFile,
)
from gpuhost.appfile.compose.model_reading import compose_file
from gpuhost.appfile.document import read_all


def values(text: str) -> Any:
    (document,) = read_all(dedent(text))
    return untagged(document.value)


def services(text: str) -> dict[str, ComposeService]:
    return dict(compose_file({"services": values(text)}).services)


FORMS: list[tuple[str, str, Any]] = [
    ("image: tts:1", "image", "tts:1"),
    ("build: ./app", "build", ComposeBuild("./app")),
    ("build: {dockerfile: d/File, target: run}", "build", ComposeBuild(".", "d/File", "run")),
    ("build: {dockerfile_inline: FROM x}", "build", ComposeBuild(".", "")),
    (
        "build: {additional_contexts: [a=b, c=docker-image://x]}",
        "build",
        ComposeBuild(additional=("b",)),
    ),
    ("build: {additional_contexts: {a: b}}", "build", ComposeBuild(additional=("b",))),
    ("ports: [22:22, 80, '3000:3000']", "ports", ("22:22", "80", "3000:3000")),
    ("ports: !override [{target: 80}]", "ports", ({"target": 80},)),
    ("ports: !reset []", "ports", ()),
    ("environment: [A=1, B, C=]", "environment", ("A", "B", "C")),
    ("environment: {A: 1, B: null}", "environment", ("A", "B")),
    ("profiles: [gpu, no]", "profiles", ("gpu", "no")),
    ("container_name: app-1", "container_name", "app-1"),
    ("restart: no", "restart", "no"),
    ("restart: false", "restart", "false"),
    ("healthcheck: {test: [CMD, true]}", "healthcheck", True),
    ("healthcheck: {disable: true}", "healthcheck", False),
    ("networks: [a, b]", "networks", ("a", "b")),
    ("networks: {a: {aliases: [x]}, b: null}", "networks", ("a", "b")),
    ("network_mode: host", "network_mode", "host"),
    ("volumes: [./d:/d, {type: bind}]", "volumes", ("./d:/d", {"type": "bind"})),
    ("depends_on: {a: {condition: service_healthy}}", "depends_on", ("a",)),
    ("env_file: a.env", "env_files", (EnvFile("a.env"),)),
    (
        "env_file: [a.env, {path: b.env, required: false}]",
        "env_files",
        (EnvFile("a.env"), EnvFile("b.env", required=False)),
    ),
    # Invalid, and reported by Compose.
    ("ports: 80", "ports", ()),
    ("environment: text", "environment", ()),
    ("image: [a]", "image", None),
    ("build: [a]", "build", None),
]


@pytest.mark.parametrize(("written", "name", "read_as"), FORMS)
def test_forms(written: str, name: str, read_as: Any) -> None:
    service = services(f"app: {{{written}}}" if "{" not in written else f"app:\n  {written}")["app"]
    assert getattr(service, name) == read_as


@pytest.mark.parametrize("written", ["null", "text", "[1, 2]", "5"])
def test_an_invalid_service(written: str) -> None:
    assert services(f"app: {written}") == {"app": ComposeService()}


def test_networks_volumes_configs_and_the_name() -> None:
    file = compose_file(
        values(
            """
            name: tts
            networks: {a: null, b: {external: true}, c: {external: {name: x}}}
            volumes: {d: {name: y}}
            secrets: {e: {file: ./e}}
            """
        )
    )
    assert file.networks == {
        "a": ComposeResource(),
        "b": ComposeResource(external=True),
        "c": ComposeResource(external=True, name="x"),
    }
    assert file.volumes == {"d": ComposeResource(name="y")}
    assert file.secrets == {"e": ComposeResource(file="./e")}
    assert file.name == "tts"


@pytest.mark.parametrize(
    ("context", "is_of_source"),
    [
        *((inside, True) for inside in (".", "./a", "a b", "github")),
        *(
            (elsewhere, False)
            for elsewhere in ("https://x/y.git", "git@x:y", "github.com/x/y", "/srv", "~/a", "$A/b")
        ),
    ],
)
def test_contexts(context: str, is_of_source: bool) -> None:
    assert ComposeBuild(context).is_of_source is is_of_source


@pytest.mark.parametrize(
    ("profiles", "active", "started"),
    [
        ([], [], True),
        (["gpu"], [], False),
        (["gpu"], ["cpu", "gpu"], True),
        (["gpu"], ["*"], True),
        ([""], [], True),
        ([""], ["gpu"], True),
    ],
)
def test_profiles(profiles: list[str], active: list[str], started: bool) -> None:
    assert ComposeService(profiles=tuple(profiles)).is_started(active) is started


def _reserved(device: str) -> str:
    return f"deploy: {{resources: {{reservations: {{devices: [{device}]}}}}}}"


CARDS: list[tuple[str, FileCards | None]] = [
    ("image: x", None),
    (_reserved("{driver: nvidia, count: all, capabilities: [gpu]}"), FileCards()),
    (_reserved("{driver: nvidia, capabilities: [gpu, video]}"), FileCards()),
    (_reserved("{driver: nvidia, count: 2, capabilities: [gpu]}"), FileCards(2)),
    (_reserved("{driver: nvidia, count: -1, capabilities: [gpu]}"), FileCards()),
    (_reserved("{capabilities: [gpu], count: 1}"), FileCards(1)),
    (_reserved("{capabilities: [gpu], device_ids: ['0', '3']}"), FileCards(None, ("0", "3"))),
    (_reserved("{driver: cdi, device_ids: ['nvidia.com/gpu=all']}"), FileCards()),
    (_reserved("{driver: cdi, device_ids: ['nvidia.com/gpu=1']}"), FileCards(None, ("1",))),
    (_reserved("{driver: amdgpu, count: 1, capabilities: [gpu]}"), None),
    (_reserved("{driver: cdi, device_ids: ['amd.com/gpu=all']}"), None),
    (_reserved("{capabilities: [tpu]}"), None),
    ("gpus: all", FileCards()),
    ("gpus: [{count: 1}]", FileCards(1)),
    ("gpus: [{driver: amd, count: 1}]", None),
    ("runtime: nvidia", FileCards()),
    ("runtime: runc", None),
    ("devices: ['nvidia.com/gpu=0', /dev/fuse]", FileCards(None, ("0",))),
    ("devices: ['/dev/nvidia0:/dev/nvidia0']", FileCards()),
    ("devices: [/dev/kfd, /dev/dri]", None),
]


@pytest.mark.parametrize(("written", "cards"), CARDS)
def test_cards_that_a_file_reserves(written: str, cards: FileCards | None) -> None:
    assert services(f"app:\n  {written}")["app"].cards == cards
