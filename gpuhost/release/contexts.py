"""Build contexts: inside the source of the release, wherever that lies on the host."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

SOURCE = "${GPUHOST_SOURCE}"
# What Compose and BuildKit do not take for a directory beside the file.
ELSEWHERE = ("/", "~", "$", "git@", "github.com/", "service:")


class OutsideSource(ValueError):
    """A context that would not be in the source."""


def contexts(build: Any) -> dict[str, Any]:
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
    if isinstance(context, str) and _is_beside(context):
        found["context"] = _inside(context)
    others = {
        name: _inside(path)
        for name, path in _additional(written.get("additional_contexts")).items()
        if _is_beside(path)
    }
    return {**found, "additional_contexts": others} if others else found


def _additional(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {name: path for name, path in value.items() if isinstance(path, str)}
    pairs = (item.partition("=") for item in value or () if isinstance(item, str) and "=" in item)
    return {name: path for name, _, path in pairs}


def _is_beside(path: str) -> bool:
    return "://" not in path and not path.startswith(ELSEWHERE)


def _inside(path: str) -> str:
    normal = posixpath.normpath(path)
    if normal == ".." or normal.startswith("../"):
        raise OutsideSource(
            f"build context {path} is outside the source, to whose root it is relative"
        )
    # Compose's variables stay: the file is the user's own.
    return SOURCE if normal == "." else f"{SOURCE}/{normal}"
