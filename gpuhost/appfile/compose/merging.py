"""Two Compose files, or a service and the one it extends, as one: the second has precedence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpuhost.appfile.compose.short_forms import port_key, target_of
from gpuhost.appfile.document import OVERRIDE, RESET, Tagged

# Keys of a service.
REPLACED = frozenset(("command", "entrypoint"))
# Lists of "NAME=value" that are mappings too.
PAIRS = frozenset(("environment", "labels", "args", "additional_contexts", "annotations"))
# Lists of names that are mappings too.
NAMED = frozenset(("networks", "depends_on"))
KEYED: Mapping[str, Callable[[Any], object]] = {"volumes": target_of, "ports": port_key}


def merged(base: Any, own: Any, key: str = "") -> Any:
    """base with the values of own. Tags of `own` have done their work, and are gone."""
    if isinstance(own, Tagged):
        return None if own.tag == RESET else untagged(own.value)
    base, own = _as_mapping(key, base, own), _as_mapping(key, own, base)
    if isinstance(base, dict) and isinstance(own, dict):
        return _merged_mappings(base, own)
    if isinstance(base, list) and isinstance(own, list) and key not in REPLACED:
        return _merged_lists(base, untagged(own), key)
    # `test:` of a health check is a list that is replaced.
    return base if own is None and base is not None else untagged(own)


def _merged_mappings(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in own.items():
        if isinstance(value, Tagged) and value.tag == RESET:
            result.pop(name, None)
        elif name == "test" and isinstance(value, list):
            result[name] = untagged(value)
        else:
            result[name] = merged(base.get(name), value, name)
    return result


def _merged_lists(base: list[Any], own: list[Any], key: str) -> list[Any]:
    if key not in KEYED:
        known = set(map(_identity, base))
        return [*base, *(item for item in own if _identity(item) not in known)]
    key_of = KEYED[key]
    result = {key_of(item): item for item in base}
    return list({**result, **{key_of(item): item for item in own}}.values())


def _identity(item: Any) -> object:
    """Equal for equal items; a mapping or a list has no hash."""
    if isinstance(item, Tagged):
        return Tagged, item.tag, _identity(item.value)
    if isinstance(item, dict):
        return frozenset((key, _identity(value)) for key, value in item.items())
    return tuple(map(_identity, item)) if isinstance(item, list) else item


def size(value: Any) -> int:
    """How many values there are in it."""
    if isinstance(value, Tagged):
        return size(value.value)
    inside = value.values() if isinstance(value, dict) else value
    return 1 + sum(map(size, inside)) if isinstance(value, dict | list) else 1


def untagged(value: Any) -> Any:
    """The values of a file alone: what RESET marks is absent."""
    if isinstance(value, Tagged):
        return untagged(value.value) if value.tag == OVERRIDE else None
    if isinstance(value, dict):
        return {name: untagged(item) for name, item in value.items() if not _is_reset(item)}
    if isinstance(value, list):
        return [untagged(item) for item in value if not _is_reset(item)]
    return value


def _is_reset(value: Any) -> bool:
    return isinstance(value, Tagged) and value.tag == RESET


def _as_mapping(key: str, value: Any, other: Any) -> Any:
    """A short form as a mapping: "NAME=value", names, and `build: ./api`."""
    if isinstance(value, list) and key in PAIRS:
        pairs = (str(item).partition("=") for item in value if isinstance(item, str | int | float))
        return {name: text if sign else None for name, sign, text in pairs}
    if isinstance(value, list) and key in NAMED:
        return {item: None for item in value if isinstance(item, str)}
    if isinstance(value, str) and key == "build" and isinstance(other, dict | str):
        return {"context": value}
    if isinstance(value, str) and key == "extends":
        return {"service": value}
    return value
