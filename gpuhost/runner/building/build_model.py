"""build.json: the model for builds.

Arguments are in it, and not in commands, which every user of the host can read (`ps`). The app's
secret files are written to shared/ when the release is activated, after its builds: until then the
running app must not see them. So builds read them from the environment of Compose.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpuhost.runner.building.build_order import Step
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.plan import Secret

PREFIX = "GPUHOST_BUILD_SECRET_"
BASE = "gpuhost-base-"


def add_bases(model: Model, steps: Sequence[Step]) -> dict[str, str]:
    """Add each base image as a service. Returns step to service, for all steps."""
    names = {step.name: step.name for step in steps}
    for number, step in enumerate(steps):
        if step.base is not None:
            names[step.name] = f"{BASE}{number}"
            context, file = str(step.base.context), str(step.base.dockerfile)
            build = {"context": _literal(context), "dockerfile": _literal(file)}
            model["services"][names[step.name]] = {"image": step.name, "build": build}
    return names


def add_arguments(model: Model, arguments: Mapping[str, str]) -> None:
    """Set build arguments in every build."""
    given = {name: _literal(value) for name, value in arguments.items()}
    builds = (section.get("build") for section in model["services"].values())
    for build in filter(None, builds if given else ()):
        build["args"] = {**(build.get("args") or {}), **given}


def take_secrets(
    model: Model, declared: tuple[Secret, ...], shared: str, values: Mapping[str, str]
) -> dict[str, str]:
    """Let builds read secret files from variables. Returns these; none: the model is unchanged.

    + declared: the app's secrets
    + shared: the directory of the app's data
    + values: of all secrets, by name
    """
    names = {posixpath.normpath(f"{shared}/{s.path}"): s.name for s in declared if s.path}
    variables: dict[str, str] = {}
    for source in set(_sources(model)):
        resource = (model.get("secrets") or {}).get(source) or {}
        name = names.get(str(resource.get("file")))
        if name is not None:
            del resource["file"]
            resource["environment"] = f"{PREFIX}{name}"
            variables[f"{PREFIX}{name}"] = values[name]
    return variables


def _sources(model: Model) -> Iterator[str]:
    """Top-level secrets that builds name."""
    for section in model["services"].values():
        build: Mapping[str, Any] = section.get("build") or {}
        for entry in build.get("secrets") or ():
            yield entry["source"] if isinstance(entry, Mapping) else entry


def _literal(text: str) -> str:
    """Compose substitutes variables in every value."""
    return text.replace("$", "$$")
