"""The JSON Schema of an app file: for editors, and for error messages."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from gpuhost.appfile.document import KeyPath
from gpuhost.appfile.model import XGpuhost

KEY = "x-gpuhost"


class _WithoutFieldTitles(GenerateJsonSchema):
    """Titles only from types: a field's own name needs no title."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.generate_inner(schema["keys_schema"]),
            "additionalProperties": self.generate_inner(schema["values_schema"]),
        }


@cache
def block_schema() -> dict[str, Any]:
    """The schema of x-gpuhost alone."""
    return XGpuhost.model_json_schema(schema_generator=_WithoutFieldTitles)


def file_schema() -> str:
    """docs/app.schema.json: only x-gpuhost is described; Compose's own keys are not."""
    block = dict(block_schema())
    definitions = {**block.pop("$defs"), "XGpuhost": block}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An app of gpuhost: a Compose file with the block x-gpuhost",
        "type": "object",
        "properties": {
            "services": {
                "type": "object",
                "minProperties": 1,
                "description": "Compose's own keys; without them the project's own files are used.",
            },
            KEY: {"$ref": "#/$defs/XGpuhost"},
        },
        "$defs": dict(sorted(definitions.items())),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def schema_at(key_path: KeyPath) -> dict[str, Any] | None:
    """The schema of a key path in the block; None for an unknown key."""
    schema: dict[str, Any] | None = block_schema()
    for step in key_path:
        if schema is None:
            return None
        schema = _below(resolved(schema), step)
    return schema


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema behind a reference or an alternative to null."""
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return {**resolved(choice), **_described(schema)}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {**resolved(block_schema()["$defs"][name]), **_described(schema)}
    return schema


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("description", "default") if key in schema}


def _below(schema: dict[str, Any], step: str | int) -> dict[str, Any] | None:
    if isinstance(step, int):
        return schema.get("items")
    by_name: dict[str, Any] | None = schema.get("properties", {}).get(step)
    if by_name is not None:
        return by_name
    others = schema.get("additionalProperties")
    return others if isinstance(others, dict) else None


def describe(schema: dict[str, Any]) -> str:
    """The allowed values, as text.

    >>> describe(schema_at(("nginx", "rate_per_s")))
    'a whole number, at least 1'
    """
    schema = resolved(schema)
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return f"{'one of ' if len(choices) > 1 else ''}{', '.join(map(str, choices))}"
    if kind == "object":
        return _mapping_words(schema)
    if kind == "array":
        least = ", at least one" if schema.get("minItems") else ""
        return f"a list, each item {describe(schema['items'])}{least}"
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    name = schema.get("title") or kinds.get(str(kind), "text")
    return ", ".join([name, *_limits(schema)])


def _mapping_words(schema: dict[str, Any]) -> str:
    if "properties" in schema:
        return f"a mapping with {', '.join(schema['properties'])}"
    below = _below(schema, "") or {}
    return f"a mapping, names to {describe(below)}"


def _limits(schema: dict[str, Any]) -> list[str]:
    signs = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "minLength": "not empty",
    }
    return [
        words.format(schema[sign]) for sign, words in signs.items() if schema.get(sign, "") != ""
    ]
