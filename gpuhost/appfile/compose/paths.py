"""Relative paths of a Compose file, as paths in the source: "./docker/data"; contexts without "./".

A file's paths are relative to its project directory, or, for a service that another file extends,
to the directory of that file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from gpuhost.appfile.compose.model import is_beside
from gpuhost.appfile.compose.short_forms import is_path, split_colons
from gpuhost.appfile.document import Tagged

# The project directory.
PWD = re.compile(r"\$(?:PWD(?![A-Za-z0-9_])|\{PWD(?::?-[^{}]*)?\})")


def leads_out(path: str) -> bool:
    """Whether a path in the source is outside of it."""
    normal = posixpath.normpath(path)
    return normal == ".." or normal.startswith("../")


def in_source(path: str, base: str) -> str:
    """A relative path in the source, without "./"; any other path is kept."""
    path = PWD.sub(".", path, count=1) if PWD.match(path) else path
    if path.startswith(("/", "~", "$")):
        return path
    return posixpath.normpath(posixpath.join(base, path))


def with_paths(document: Any, base: str) -> Any:
    """A file's values with its relative paths in the source."""

    def dotted(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        path = in_source(value, base)
        return path if path.startswith(("/", "~", "$")) else f"./{path}"

    def context(value: Any) -> Any:
        is_inside = isinstance(value, str) and (is_beside(value) or PWD.match(value))
        return in_source(value, base) if is_inside else value

    def service(value: Any) -> Any:
        value = _at(value, "volumes", lambda items: _each(items, _volume(dotted)))
        for key in ("env_file", "label_file"):
            value = _at(value, key, lambda items: _env_file(items, dotted))
        return _at(value, "build", lambda build: _build(build, context))

    def volume(value: Any) -> Any:
        options = value.get("driver_opts") if isinstance(value, dict) else None
        is_bind = isinstance(options, dict) and "bind" in str(options.get("o"))
        return {**value, "driver_opts": _at(options, "device", dotted)} if is_bind else value

    document = _at(document, "services", lambda services: _values(services, service))
    document = _at(document, "volumes", lambda volumes: _values(volumes, volume))
    for key in ("configs", "secrets"):
        document = _at(
            document, key, lambda items: _values(items, lambda item: _at(item, "file", dotted))
        )
    return document


Change = Callable[[Any], Any]


def _volume(dotted: Change) -> Change:
    def change(entry: Any) -> Any:
        if isinstance(entry, str):
            source, *rest = split_colons(entry)
            return ":".join([dotted(source), *rest]) if rest and is_path(source) else entry
        is_bind = isinstance(entry, Mapping) and entry.get("type") == "bind"
        return _at(entry, "source", dotted) if is_bind else entry

    return change


def _env_file(value: Any, dotted: Change) -> Any:
    items = value if isinstance(value, list) else [value]
    return [_at(item, "path", dotted) if isinstance(item, dict) else dotted(item) for item in items]


def _build(value: Any, context: Change) -> Any:
    if isinstance(value, str):
        return context(value)
    if isinstance(value, dict):
        value = {"context": ".", **value}
    value = _at(value, "context", context)
    return _at(value, "additional_contexts", lambda others: _contexts(others, context))


def _contexts(value: Any, context: Change) -> Any:
    if isinstance(value, dict):
        return _values(value, context)

    def change(item: Any) -> Any:
        name, sign, path = item.partition("=") if isinstance(item, str) else ("", "", "")
        return f"{name}={context(path)}" if sign else item

    return _each(value, change)


def _at(value: Any, key: str, change: Change) -> Any:
    """A mapping with one value changed, if it has it."""
    if not isinstance(value, dict) or value.get(key) is None:
        return value
    return {**value, key: _under_tag(value[key], change)}


def _values(value: Any, change: Change) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _under_tag(item, change) for name, item in value.items()}


def _each(value: Any, change: Change) -> Any:
    return [_under_tag(item, change) for item in value] if isinstance(value, list) else value


def _under_tag(value: Any, change: Change) -> Any:
    if isinstance(value, Tagged):
        return Tagged(value.tag, change(value.value))
    return change(value)
