"""All texts of a document with their variables filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.interpolation import LARGEST, Lookup, Unset, fill_in
from gpuhost.appfile.document import KeyPath, Tagged

# gpuhost's own block: its $ are for gpuhost, or are refused there.
OWN_BLOCK = "x-gpuhost"


@dataclass
class Found:
    """By key path: variables that are unset, and texts that Compose refuses.

    + too_long: texts that become too long, alone or together
    + left: characters that texts may still become
    """

    unset: list[tuple[KeyPath, Unset]] = field(default_factory=list)
    bad: list[KeyPath] = field(default_factory=list)
    too_long: list[KeyPath] = field(default_factory=list)
    left: int = 4 * LARGEST


def filled(value: Any, lookup: Lookup) -> tuple[Any, Found]:
    """The values, and what is wrong with their variables. Keys are never filled in."""
    found = Found()
    return _filled(value, lookup, (), found), found


def _filled(value: Any, lookup: Lookup, key_path: KeyPath, found: Found) -> Any:
    if isinstance(value, str):
        return _text(value, lookup, key_path, found) if "$" in value else value
    if isinstance(value, Tagged):
        return Tagged(value.tag, _filled(value.value, lookup, key_path, found))
    if isinstance(value, dict):
        return {k: _filled(v, lookup, (*key_path, k), found) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, lookup, (*key_path, n), found) for n, v in enumerate(value)]
    return value


def _text(value: str, lookup: Lookup, key_path: KeyPath, found: Found) -> str:
    result = fill_in(value, lookup)
    found.unset += [(key_path, one) for one in result.unset]
    if key_path[:1] == (OWN_BLOCK,):
        return value
    if result.is_bad:
        found.bad.append(key_path)
    found.left -= len(result.text)
    if result.is_too_long or found.left < 0:
        found.too_long.append(key_path)
        return value
    return result.text
