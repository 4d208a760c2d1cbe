"""The reference page of the block x-gpuhost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from gpuhost.appfile.schema import KEY, block_schema, describe, resolved

HEAD = """# The block x-gpuhost

Every key of the block `x-gpuhost` in `apps/NAME.yaml`; [apps.md](apps.md) explains how to write
such a file. Generated from `gpuhost/appfile/` by `make docs`, as is
[app.schema.json](app.schema.json), with which editors complete and validate the file:

```yaml
# yaml-language-server: $schema=../docs/app.schema.json
```
"""
TABLE = "\n| key | default | allowed | meaning |\n|---|---|---|---|\n"


def app_file_page() -> str:
    """docs/app-file.md."""
    sections = list(_sections(block_schema(), KEY, set()))
    return HEAD + "".join(_section(path, model) for path, model in sections)


def _sections(
    model: dict[str, Any], path: str, listed: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A model, then the models of its keys, each once."""
    yield path, model
    for key, value in model["properties"].items():
        below = f"{key}" if path == KEY else f"{path}.{key}"
        for name, inner, place in _models(value, below):
            if name not in listed:
                listed.add(name)
                yield from _sections(inner, place, listed)


def _models(value: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The models of a key's value: the value itself, list items, or values of a mapping."""
    for choice in value.get("anyOf", []):
        yield from _models(choice, path)
    if "$ref" in value:
        yield value["$ref"], resolved({"$ref": value["$ref"]}), path
    if "items" in value:
        yield from _models(value["items"], f"{path}[]")
    if isinstance(value.get("additionalProperties"), dict):
        yield from _models(value["additionalProperties"], f"{path}.NAME")


def _section(path: str, model: dict[str, Any]) -> str:
    meaning = model.get("description", "")
    required = model.get("required", [])
    rows = (_row(key, value, key in required) for key, value in model["properties"].items())
    return f"\n## {path}\n\n{meaning}\n{TABLE}{''.join(rows)}"


def _row(key: str, value: dict[str, Any], is_required: bool) -> str:
    default = "required" if is_required else _default(value.get("default"))
    meaning = value.get("description") or resolved(value).get("description", "")
    cells = (f"`{key}`", default, _allowed(value), meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _default(value: Any) -> str:
    empty = value is None or value in ("", [], {}) or isinstance(value, dict)
    return "" if empty else f"`{json.dumps(value, ensure_ascii=False)}`"


def _allowed(value: dict[str, Any]) -> str:
    # The keys of a mapping have their own section.
    return re.sub(r"a mapping with [^|]*", "a mapping, see below", describe(value))
