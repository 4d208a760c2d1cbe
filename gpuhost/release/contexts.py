"""Build contexts: directories in the source of the release, with their paths on the host."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from gpuhost.appfile.compose_file import is_beside

SOURCE = "${GPUHOST_SOURCE}"


class OutsideSource(ValueError):
    """A build context outside the source."""


def source_contexts(build: Any) -> dict[str, Any]:
    """The keys of `build` that name directories, with absolute paths.

    Raises OutsideSource.
    """
    if isinstance(build, str):
        written: Mapping[str, Any] = {"context": build}
    elif isinstance(build, Mapping):
        written = build
    else:
        return {}
    keys: dict[str, Any] = {}
    context = written.get("context", ".")
    if isinstance(context, str) and is_beside(context):
        keys["context"] = _inside(context)
    others = {name: _inside(path) for name, path in additional_contexts(written).items()}
    return {**keys, "additional_contexts": others} if others else keys


def additional_contexts(build: Any) -> dict[str, str]:
    """The directories of the source in `additional_contexts`, by name."""
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
            f"build context {path} is outside the source; it is relative to the source's root"
        )
    # Variables in the path are Compose's to fill in.
    return SOURCE if normal == "." else f"{SOURCE}/{normal}"
