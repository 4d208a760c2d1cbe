"""The record of the GPU test, its image, and the causes of failures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.causes import CAUSES, cause_of
from gpuhost.domain.toolkit.config import CONFIG
from gpuhost.domain.toolkit.proof import Circumstances, Proof, image_for, parse
from gpuhost.plans.toolkit import circumstances
from gpuhost.settings.merge import merge_layers
from gpuhost.snapshot.docker import DAEMON_JSON
from tests.recorded import probes, snapshot_of

FIXTURES = Path(__file__).parents[1] / "fixtures" / "toolkit"
FAILURES: list[dict[str, str]] = yaml.safe_load((FIXTURES / "failures.yaml").read_text("utf-8"))
# nvidia-ctk writes no file without it.
ONLY_PRINTS = "cdi generate(?! --output=)"
GOOD: dict[str, Any] = {
    "driver": "535.183.01",
    "toolkit": "1.20.0-1",
    "engine": "26.1.5",
    "image": "gpuhost/gpu-test:2.41-12-r1",
    "gpus": 2,
    "time": 1795301186,
    "failure": "",
}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure["text"][-60:])
def test_failures_have_a_cause_and_a_fix(failure: dict[str, str]) -> None:
    known = cause_of(failure["text"])
    assert re.search(failure["cause"], known.cause)
    assert re.search(failure["fix"], known.fix)
    assert not re.search(ONLY_PRINTS, known.fix)


def test_every_known_failure_has_a_case() -> None:
    hit = {id(cause_of(failure["text"])) for failure in FAILURES}
    assert {id(cause) for _, cause in CAUSES} - hit == set()
    assert len(CAUSES) == 40


def test_a_record_is_read_as_it_was_written() -> None:
    made = parse(json.dumps(GOOD))
    assert made == Proof(
        Circumstances("535.183.01", "1.20.0-1", "26.1.5", "gpuhost/gpu-test:2.41-12-r1"),
        gpus=2,
        time=1795301186,
        failure="",
    )


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_record_without_a_part_is_none(missing: str) -> None:
    assert parse(json.dumps({key: value for key, value in GOOD.items() if key != missing})) is None


@given(st.text() | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps))
def test_any_text_is_a_record_or_none(text: str) -> None:
    assert parse(text) is None


@given(
    st.fixed_dictionaries(
        {key: st.none() | st.text() | st.integers() | st.floats() for key in GOOD}
    ).map(json.dumps)
)
def test_any_values_never_raise(text: str) -> None:
    made = parse(text)
    assert made is None or isinstance(made.gpus, int)


def test_differences_list_only_what_changed() -> None:
    before = Circumstances("535.183.01", "1.20.0-1", "26.1.5", "a")
    current = Circumstances("550.54.14", "1.20.0-1", "29.2.0", "a")
    assert before.differences(current) == [
        "driver 535.183.01, now 550.54.14",
        "engine 26.1.5, now 29.2.0",
    ]
    assert before.differences(before) == []


def test_the_tag_of_the_own_image_has_the_version_of_the_c_library() -> None:
    assert image_for(None, "2.41-12+deb13u4") == "gpuhost/gpu-test:2.41-12-deb13u4-r1"
    assert image_for("nvidia/cuda:12.2.2-base", "2.41-12") == "nvidia/cuda:12.2.2-base"


# docs.docker.com/reference/cli/docker/image/tag.
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


@given(st.from_regex(r"[0-9][0-9A-Za-z.+~:-]{0,200}", fullmatch=True))
def test_any_version_of_the_c_library_makes_a_tag(version: str) -> None:
    assert TAG.fullmatch(image_for(None, version).partition(":")[2])


# What a person changes after the test, and what toolkit.proof then names; "": nothing.
EDITS = (
    ('nvidia-container-cli.ldconfig = "@/sbin/ldconfig.real"\n', {}, CONFIG),
    ('[nvidia-container-runtime]\nruntimes = ["nonexistent", "runc"]\n', {}, CONFIG),
    ('[nvidia-container-cli]\nroot = "/run/nvidia/driver"\n', {}, CONFIG),
    ("# a comment\n\n   # debug = 1\n", {}, ""),
    (None, {"userns-remap": "default"}, "the engine's configuration"),
    (None, {"features": {"cdi": False}}, "the engine's configuration"),
    (None, {"exec-opts": ["native.cgroupdriver=systemd"]}, "the engine's configuration"),
    (None, {"runtimes": {"kata": {"path": "kata"}}}, "the engine's configuration"),
    (None, {"runtimes": {"nvidia": {"path": "/opt/other"}}}, ""),
    (None, {"runtimes": "none"}, ""),
    (None, {"insecure-registries": ["10.0.0.0/8"], "log-level": "warn"}, ""),
)


@pytest.mark.parametrize(("config", "daemon_json", "named"), EDITS)
def test_a_configuration_that_was_edited_since_is_not_proven(
    config: str | None, daemon_json: dict[str, Any], named: str
) -> None:
    before = current({"host": "debian13-p40"})
    recorded = probes("debian13-p40").file(DAEMON_JSON)
    text = json.dumps({**json.loads(recorded or ""), **daemon_json})
    after = current({"host": "debian13-p40", "files": {CONFIG: config, DAEMON_JSON: text}})
    assert before.differences(after) == ([named] if named else [])


@pytest.mark.parametrize(
    "change", [{"SecurityOptions": ["name=userns"]}, {"CgroupVersion": "2"}, {"CgroupDriver": "x"}]
)
def test_what_the_engine_does_since_its_restart_is_not_proven(change: dict[str, Any]) -> None:
    before = current({"host": "debian13-p40"})
    info = {**json.loads(probes("debian13-p40").output("docker_info")), **change}
    after = current({"host": "debian13-p40", "probes": {"docker_info": {"out": json.dumps(info)}}})
    assert before.differences(after) == ["the engine's configuration"]


def test_a_record_of_an_older_gpuhost_has_no_hashes() -> None:
    recorded = parse(json.dumps(GOOD))
    assert recorded is not None
    now = replace(recorded.circumstances, config="1", settings="2")
    assert recorded.circumstances.differences(now) == [], "nobody has changed them"
    assert (recorded.circumstances.is_complete, now.is_complete) == (False, True)


def current(case: dict[str, Any]) -> Circumstances:
    made = circumstances(snapshot_of(case), merge_layers([]))
    assert made is not None
    return made
