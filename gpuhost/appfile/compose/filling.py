"""All texts of a document with their variables filled in."""

from __future__ import annotations

from typing import Any

from gpuhost.appfile.compose.interpolation import Lookup, Unset, fill_in
from gpuhost.appfile.document import KeyPath, Tagged

# gpuhost's own block: its $ are for gpuhost, or are refused there.
OWN_BLOCK = "x-gpuhost"
Found = list[tuple[KeyPath, Unset]]


def filled(value: Any, lookup: Lookup) -> tuple[Any, Found]:
    """The values, and which variables are unset, by key path. Keys are never filled in."""
    unset: Found = []
    return _filled(value, lookup, (), unset), unset


def _filled(value: Any, lookup: Lookup, key_path: KeyPath, unset: Found) -> Any:
    if isinstance(value, str):
        if "$" not in value:
            return value
        result = fill_in(value, lookup)
        unset += [(key_path, one) for one in result.unset]
        return value if key_path[:1] == (OWN_BLOCK,) else result.text
    if isinstance(value, Tagged):
        return Tagged(value.tag, _filled(value.value, lookup, key_path, unset))
    if isinstance(value, dict):
        return {k: _filled(v, lookup, (*key_path, k), unset) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, lookup, (*key_path, n), unset) for n, v in enumerate(value)]
    return value
