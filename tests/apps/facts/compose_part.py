"""A stand-in's Compose file says nothing that upstream's does not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests import app_yaml

# Lists that are mappings too.
PAIRS = ("environment", "args")


def differences(own: str, theirs: str) -> Iterator[str]:
    """What is in `own`, and not the same in `theirs`: texts of Compose files."""
    yield from _walk(app_yaml.read(own)["services"], app_yaml.read(theirs)["services"], "services")


def _walk(own: Any, theirs: Any, at: str) -> Iterator[str]:
    if at.endswith(PAIRS):
        own, theirs = _mapping(own), _mapping(theirs)
    if isinstance(own, dict) and isinstance(theirs, dict):
        for key, value in own.items():
            yield from _walk(value, theirs.get(key), f"{at}.{key}")
    elif isinstance(own, list) and isinstance(theirs, list):
        yield from (f"{at}: upstream lacks {one}" for one in own if one not in theirs)
    elif str(own) != str(theirs):
        yield f"{at}: {own}, and upstream has {theirs}"


def _mapping(value: Any) -> Any:
    pairs = (one.partition("=") for one in value) if isinstance(value, list) else ()
    return {name: text for name, _, text in pairs} or value
