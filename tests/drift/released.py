"""A host with an app in its verified state, and edits that break it."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gpuhost.appfile.loading import load
from gpuhost.checks.deployed.deployed_app import AppFile
from gpuhost.release.planning import plan_release, render_files
from gpuhost.release.variant import ChosenVariant, choose_variant
from gpuhost.settings import Settings
from gpuhost.settings.merge import Layer, merge_layers
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import APPLIED
from tests.recorded import probes

HOST = "debian13-docker"
RECORD = json.dumps({"format": 1, "at": 1, "by": "a@b", "settings": [], "findings": {}})
BASE: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("released.yaml").read_text(encoding="utf-8")
)
UNITS = f"{probes(HOST).output('units').rstrip()}\n\n"


@dataclass(frozen=True)
class Case:
    """A host and its settings. file: the app file in the repository."""

    snapshot: Snapshot
    settings: Settings
    file: AppFile


def case(edits: dict[str, Any], directory: Path) -> Case:
    """The good host with edits: path of words -> value; null removes it.

    + edits: of released.yaml; `app_file` replaces parts of the app file after its release
    """
    made = copy.deepcopy(BASE)
    for path, value in edits.get("edit", {}).items():
        _edit(made, path.split(), value)
    made["containers"] += edits.get("containers", [])
    settings = merge_layers([Layer("the case", {**made["settings"], **edits.get("settings", {})})])
    then = merge_layers([Layer("as it was released", BASE["settings"])])
    text = BASE["app_file"]
    _released(made, _file(text, directory), _snapshot(BASE), then)
    for old, new in edits.get("app_file", {}).items():
        assert old in text
        text = text.replace(old, new)
    return Case(
        _snapshot(made), settings, _file(text, directory, made["ref_is"], made["overlay_is"])
    )


def _edit(value: Any, path: list[str], new: Any) -> None:
    *steps, last = (int(step) if step.isdecimal() else step for step in path)
    for step in steps:
        value = value[step]
    if new is None:
        del value[last]
    else:
        value[last] = new


def _file(text: str, directory: Path, ref_is: str | None = None, overlay_is: str = "") -> AppFile:
    path = directory / "tts.yaml"
    path.write_text(text, encoding="utf-8")
    return AppFile(load(path), ref_is, overlay_is)


def _released(made: dict[str, Any], file: AppFile, snapshot: Snapshot, then: Settings) -> None:
    """Sets what a release of this file left: the hash of its inputs, and those of its files."""
    app = file.app
    assert app
    choice = choose_variant(app, snapshot, then)
    assert isinstance(choice, ChosenVariant)
    texts = render_files(app, snapshot)
    rendered = {
        "compose.yaml": texts.compose,
        "nginx.conf": (texts.nginx or "").encode(),
    }
    for one in made["apps"]:
        for release in one["releases"]:
            plan = plan_release(app, choice, then, snapshot, revision=release["revision"], by="a@b")
            release["inputs"] = release["inputs"].replace("of the file", plan.inputs)
        if one.get("details", {}).get("kept"):
            one["details"]["rendered"] = {
                name: hashlib.sha256(text).hexdigest() for name, text in rendered.items() if text
            }


def _snapshot(made: dict[str, Any]) -> Snapshot:
    rows = (json.dumps({**made["container"], **one}) for one in made["containers"])
    tags = (f"{tag}\t{id}\n" for tag, id in made["tags"].items())
    units = "\n\n".join(_block(id, values) for id, values in made["units"].items())
    changed: dict[str, Any] = {
        "apps": {"out": json.dumps({"apps": made["apps"], "booted": made["booted"]})},
        "app_units": {"out": units},
        "clock": {"out": f"{made['clock']}\n"},
        "docker_inspect": {"out": "\n".join(rows)},
        "docker_images": {"out": "".join(tags)},
        "listeners": {"out": made["listeners"]},
        "live_containers": {"out": json.dumps(made["live"])},
        "units": {"out": _units(made)},
        **made["probes"],
    }
    return Snapshot(probes(HOST, {APPLIED: RECORD, **made["files"]}, changed))


def _units(made: dict[str, Any]) -> str:
    """The recorded units, with nginx and the engine of the case."""
    blocks = [one for one in UNITS.split("\n\n") if "Id=nginx.service" not in one]
    nginx = _block("nginx.service", made["nginx"])
    times = [f"ActiveEnterTimestamp={_moment(made['engine_started'])}"]
    if "engine_began" in made:
        times.append(f"InactiveExitTimestamp={_moment(made['engine_began'])}")
    kept = [
        re.sub("^ActiveEnterTimestamp=.*$", "\n".join(times), block, flags=re.MULTILINE)
        if "Id=docker.service" in block
        else block
        for block in blocks
    ]
    return "\n\n".join([*(block for block in kept if block.strip()), nginx])


def _moment(seconds: int) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _block(id: str, values: dict[str, str]) -> str:
    return "\n".join([f"Id={id}", *(f"{key}={value}" for key, value in values.items())])
