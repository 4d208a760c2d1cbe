"""Build contexts: inside the source of the release, wherever that lies on the host."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from gpuhost.appfile.compose_file import is_beside

SOURCE = "${GPUHOST_SOURCE}"


class OutsideSource(ValueError):
    """A context that would not be in the source."""


def source_contexts(build: Any) -> dict[str, Any]:
    """The keys of `build` that name directories, absolute; empty where none does.

    Raises OutsideSource.
    """
    if isinstance(build, str):
        written: Mapping[str, Any] = {"context": build}
    elif isinstance(build, Mapping):
        written = build
    else:
        return {}
    found: dict[str, Any] = {}
    context = written.get("context", ".")
    if isinstance(context, str) and is_beside(context):
        found["context"] = _inside(context)
    others = {name: _inside(path) for name, path in additional_contexts(written).items()}
    return {**found, "additional_contexts": others} if others else found


def additional_contexts(build: Any) -> dict[str, str]:
    """The directories of the source that a build names beside its context, by name."""
    others = build.get("additional_contexts") if isinstance(build, Mapping) else None
    if isinstance(others, list):
        pairs = (item.partition("=") for item in others if isinstance(item, str) and "=" in item)
        others = {name: path for name, _, path in pairs}
    named = others if isinstance(others, Mapping) else {}
    return {name: path for name, path in named.items() if isinstance(path, str) and is_beside(path)}


def _inside(path: str) -> str:
    normal = posixpath.normpath(path)
    if normal == ".." or normal.startswith("../"):
        raise OutsideSource(
            f"build context {path} is outside the source, to whose root it is relative"
        )
    # Compose's variables stay: the file is the user's own.
    return SOURCE if normal == "." else f"{SOURCE}/{normal}"
