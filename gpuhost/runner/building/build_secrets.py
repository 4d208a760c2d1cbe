"""The app's secret files in builds.

They are written to shared/ when the release is activated, after its builds: until then the running
app must not see them. So builds read them from the environment of Compose.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.plan import Secret

PREFIX = "GPUHOST_BUILD_SECRET_"


def by_environment(
    model: Model, declared: tuple[Secret, ...], shared: str, values: Mapping[str, str]
) -> tuple[Model, dict[str, str]]:
    """The model for builds, and the variables that hold the secrets; none: the model is unchanged.

    + declared: the app's secrets
    + shared: the directory of the app's data
    + values: of all secrets, by name
    """
    names = {posixpath.normpath(f"{shared}/{s.path}"): s.name for s in declared if s.path}
    changed = deepcopy(model)
    variables: dict[str, str] = {}
    for source in set(_sources(changed)):
        resource = (changed.get("secrets") or {}).get(source) or {}
        name = names.get(str(resource.get("file")))
        if name is not None:
            del resource["file"]
            resource["environment"] = f"{PREFIX}{name}"
            variables[f"{PREFIX}{name}"] = values[name]
    return changed, variables


def _sources(model: Model) -> Iterator[str]:
    """Top-level secrets that builds name."""
    for section in model["services"].values():
        build: Mapping[str, Any] = section.get("build") or {}
        for entry in build.get("secrets") or ():
            yield entry["source"] if isinstance(entry, Mapping) else entry
