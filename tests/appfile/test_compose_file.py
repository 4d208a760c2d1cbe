"""A Compose file is read in all forms that Compose accepts."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from gpuhost.appfile.compose_file import ComposeBuild, ComposeFile, ComposeResource, ComposeService
from gpuhost.appfile.document import read


def services(text: str) -> dict[str, ComposeService]:
    return dict(ComposeFile.of({"services": read(dedent(text)).value}).services)


FORMS: list[tuple[str, str, Any]] = [
    ("image: tts:1", "image", "tts:1"),
    ("image: ${TAG:-tts:gpu}", "image", "${TAG:-tts:gpu}"),
    ("build: ./app", "build", ComposeBuild("./app")),
    ("build: {dockerfile: d/File, target: run}", "build", ComposeBuild(".", "d/File", "run")),
    ("ports: [22:22, 80, '${PORT:-3000}:3000']", "ports", ("22:22", "80", "${PORT:-3000}:3000")),
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
    ("volumes: [./d:/d, {type: bind}]", "volumes", ("./d:/d", {"type": "bind"})),
    ("depends_on: {a: {condition: service_healthy}}", "depends_on", ("a",)),
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


def test_extends_in_the_same_file() -> None:
    app_services = services(
        """
        base: {image: b, ports: ["1:1"], environment: {A: 1}, build: .}
        app: {extends: base, image: a, ports: ["2:2"], environment: {B: 1}}
        far: {extends: {service: app}}
        loop: {extends: loop, image: l}
        none: {extends: {service: nowhere}}
        """
    )
    assert app_services["app"].image == "a"
    assert app_services["app"].ports == ("1:1", "2:2")
    assert app_services["app"].environment == ("A", "B")
    assert app_services["far"].build == ComposeBuild(".")
    assert app_services["loop"].image == "l"
    assert (app_services["none"].image, app_services["none"].ports) == (None, ())


def test_networks_and_volumes() -> None:
    networks = "{a: null, b: {external: true}, c: {external: {name: x}}}"
    file = ComposeFile.of(read(f"{{networks: {networks}, volumes: {{d: {{name: y}}}}}}").value)
    assert file.networks == {
        "a": ComposeResource(),
        "b": ComposeResource(external=True),
        "c": ComposeResource(external=True, name="x"),
    }
    assert file.volumes == {"d": ComposeResource(name="y")}


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
