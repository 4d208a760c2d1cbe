"""The Compose override: its content for any app file, and what it refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.release.override import render_override
from gpuhost.release.variant import ChosenVariant, choose_variant
from gpuhost.release.yaml_text import quoted
from tests.release.cases import CPU, DECLARED, P40, app, chosen, host
from tests.release.generated_apps import TEXTS, app_of, documents


class _Tagged(yaml.SafeLoader):
    """Reads Compose's tags as a pair of tag and value."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return suffix, loader.construct_sequence(node, deep=True)
    return suffix, loader.construct_yaml_null(node) if node.value == "null" else node.value


_Tagged.add_multi_constructor("!", _tagged)


def _services(text: str) -> dict[str, Any]:
    services: dict[str, Any] = yaml.load(text, _Tagged)["services"]
    return services


@given(TEXTS | st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_text_is_read_back(text: str) -> None:
    assert yaml.safe_load(quoted(text)) == text
    assert "\n" not in quoted(text)


@pytest.mark.slow
@given(documents())
def test_the_override_of_any_app_has_what_was_declared(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = app_of(document, Path(directory))
    for on in (CPU, P40):
        choice = choose_variant(made.block, host(on), DECLARED)
        assert isinstance(choice, ChosenVariant)
        text = render_override(made, choice)
        assert text == render_override(made, choice)
        services = _services(text)
        for name, written in document["services"].items():
            service = services.get(name, {})
            environment = choice.environment.get(name, {})
            assert service.get("environment", {}) == {
                key: value.replace("$", "$$") for key, value in environment.items()
            }
            assert ("logging" in service) is ("logging" not in written)
            if written.get("ports"):
                assert service["ports"][0] == "override"
                assert len(service["ports"][1]) == len(written["ports"])


def _of(text: str, directory: Path, on: str = CPU) -> dict[str, Any]:
    path = directory / "one.yaml"
    path.write_text(text, encoding="utf-8")
    one = load(path)
    return _services(render_override(one, chosen(one, on)))


ONE_SHOT = """
x-gpuhost:
  gpu: {worker: {}}
  with_gpu: {profiles: [gpu], leave_out: [out]}
  without_gpu: {}
  migrate: {service: migrate, without_backup: true}
services:
  app: {image: x, depends_on: {init: {condition: service_completed_successfully}}}
  init: {image: x}
  migrate: {image: x}
  out: {image: x}
  worker: {image: x, profiles: [gpu]}
  other: {image: x, profiles: [other]}
  given: {image: x, restart: "no"}
  policy: {image: x, deploy: {restart_policy: {condition: none}}}
"""


def test_which_services_get_a_restart_policy(tmp_path: Path) -> None:
    """Not one-shot services: they would run again and again."""
    for on, expected in ((CPU, {"app", "out"}), (P40, {"app", "worker"})):
        services = _of(ONE_SHOT, tmp_path, on)
        assert {name for name, one in services.items() if "restart" in one} == expected


def test_a_complete_file_needs_no_override(tmp_path: Path) -> None:
    text = "services: {a: {image: x, restart: always, logging: {driver: local}}}"
    assert _of(text, tmp_path) == {}


def test_every_problem_is_named_with_its_service(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        """
x-gpuhost: {source: {directory: .}, public: ["a:90"]}
services:
  a: {image: x, ports: ["80:80"]}
  b: {build: ../elsewhere}
  c: {image: x, ports: ["80:"]}
"""
    )
    one = load(path)
    with pytest.raises(BadApp) as raised:
        render_override(one, chosen(one, CPU))
    assert raised.value.lines == (
        f"{path}: public: a:90: the service publishes no such port",
        f"{path}: services.b: build context ../elsewhere is outside the source; it is "
        "relative to the source's root",
        f"{path}: services.c.ports: '80:' is not a port mapping; write it like 3000:3000",
    )


def test_a_card_is_reserved_once() -> None:
    """The block, or a host without a card, replaces reservations of the file in any syntax."""
    for on in (CPU, P40):
        services = _services(render_override(app("hostile"), chosen(app("hostile"), on)))
        assert services["gpu.worker"]["gpus"] == ("reset", None)
        assert "gpus" not in services["plain-worker"]
    on_cpu = _services(render_override(app("hostile"), chosen(app("hostile"), CPU)))
    assert on_cpu["plain-worker"]["runtime"] == ("reset", None)
    assert on_cpu["child"]["deploy"]["resources"]["reservations"]["devices"] == ("reset", [])


CARD = {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
TPU = {"driver": "example", "device_ids": ["a$$b"], "capabilities": ["tpu"]}


@pytest.mark.parametrize(
    ("written", "on_cpu"),
    [
        ([CARD], ("reset", [])),
        ([{"count": 1, "capabilities": [["gpu", "nvidia"]]}], ("reset", [])),
        ([{"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"]}], ("reset", [])),
        ([CARD, TPU], ("override", [TPU])),
        ([TPU], None),
        ([{"driver": "cdi", "device_ids": ["example.com/x=0"]}], None),
        ([{"driver": "amdgpu", "capabilities": ["gpu"]}], None),
    ],
)
def test_only_reservations_of_cards_are_removed(
    tmp_path: Path, written: list[Any], on_cpu: Any
) -> None:
    reservations = {"deploy": {"resources": {"reservations": {"devices": written}}}}
    file = {
        "x-gpuhost": {"gpu": {"a": {}}, "without_gpu": {}},
        "services": {"a": {"image": "x", **reservations}},
    }
    deploys = {
        on: _of(yaml.safe_dump(file), tmp_path, on)["a"].get("deploy", {}) for on in (CPU, P40)
    }
    kept = on_cpu[1] if on_cpu else written
    reserved = {} if on_cpu is None else {"resources": {"reservations": {"devices": on_cpu}}}
    assert deploys[CPU] == reserved
    cards = deploys[P40]["resources"]["reservations"]["devices"]
    assert cards == ("override", [CARD, *kept])


def test_devices_of_a_card_are_removed_in_both_syntaxes(tmp_path: Path) -> None:
    fuse = {"source": "/dev/fuse", "target": "/dev/nvidia9"}
    devices = ["/dev/nvidia0", {"source": "/dev/nvidia0", "target": "/dev/x"}, "/dev/sda", fuse]
    file = {
        "x-gpuhost": {"gpu": {"a": {}}, "without_gpu": {}},
        "services": {"a": {"image": "x", "devices": devices}},
    }
    services = _of(yaml.safe_dump(file), tmp_path)
    assert services["a"]["devices"] == ("override", ["/dev/sda", fuse])


@pytest.mark.parametrize(
    ("check", "is_added"),
    [
        ("{test: [CMD, 'true'], start_period: 60s}", True),
        ("{test: [CMD, 'true']}", False),
        ("{test: [CMD, 'true'], start_period: 60s, start_interval: 5s}", False),
        ("{disable: true, start_period: 60s}", False),
    ],
)
def test_health_checks_are_frequent_while_a_service_starts(
    tmp_path: Path, check: str, is_added: bool
) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(
        f"x-gpuhost: {{without_gpu: {{}}}}\nservices: {{a: {{image: a, healthcheck: {check}}}}}\n"
    )
    one = load(file)
    assert (
        "start_interval: 2s" in render_override(one, chosen(one, CPU), start_interval=True)
    ) is (is_added)
    assert "start_interval" not in render_override(one, chosen(one, CPU))
