"""A Compose file's YAML: the values by YAML 1.2, and the line of each.

Merge keys are followed, and a duplicate key is an error. Compose's own tags (`!reset`, `!override`)
are kept for the merge with other files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gpuhost.appfile.yaml_nodes import TAG, NodeReader, core_kind

KeyPath = tuple[str | int, ...]

# A few aliases can expand to millions of values.
MAX_VALUES = 50_000
RESET, OVERRIDE = "!reset", "!override"
# Text that PyYAML's messages quote from the file, which may be a secret. Not '<stream end>'.
QUOTED = re.compile(r"""'(?!<)[^'\\][^']+'|"(?!<)[^"\\][^"]+\"""")


class BadYaml(ValueError):
    """line: from 1; 0 if unknown."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True)
class Tagged:
    """A value with a tag of Compose: RESET removes a key, OVERRIDE replaces instead of merging."""

    tag: str
    value: Any


@dataclass(frozen=True)
class Document:
    """value: with Tagged values inside."""

    value: Any
    lines: dict[KeyPath, int]

    def line(self, key_path: KeyPath) -> int:
        """The line of a key, or of the nearest key that contains it."""
        for end in range(len(key_path), 0, -1):
            if key_path[:end] in self.lines:
                return self.lines[key_path[:end]]
        return 1


def read_all(text: str) -> list[Document]:
    """The documents of a file. Raises BadYaml: not YAML, a key twice, an alias inside itself."""
    try:
        builder = _DocumentBuilder()
        return [builder.document(node) for node in NodeReader(text).documents()]
    except MarkedYAMLError as error:
        # Without the excerpt of the file, which may show a secret.
        mark = error.problem_mark or error.context_mark
        message = ": ".join(filter(None, (error.context, error.problem)))
        message = QUOTED.sub("'…'", message)
        raise BadYaml(mark.line + 1 if mark else 0, f"not YAML: {message}") from None
    except YAMLError as error:
        # A character that YAML does not allow; `position` counts characters.
        position = getattr(error, "position", 0)
        raise BadYaml(text.count("\n", 0, position) + 1, "a control character") from None
    except RecursionError:
        raise BadYaml(0, "nested too deeply") from None
    except BadYaml:
        raise
    except (ValueError, OverflowError):
        # An escape such as "\UFFFFFFFF".
        raise BadYaml(0, "not YAML: an escape in double quotes is not a character") from None


class _DocumentBuilder:
    def __init__(self) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._values_left = MAX_VALUES
        self._open_nodes: list[int] = []

    def document(self, node: Any) -> Document:
        self._lines = {}
        return Document(self._value(node, ()), self._lines)

    def _value(self, node: Node, key_path: KeyPath) -> Any:
        value = self._untagged(node, key_path)
        return Tagged(node.tag, value) if node.tag in (RESET, OVERRIDE) else value

    def _untagged(self, node: Node, key_path: KeyPath) -> Any:
        self._values_left -= 1
        if self._values_left < 0:
            raise BadYaml(_line(node), f"more than {MAX_VALUES} values, with aliases expanded")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if id(node) in self._open_nodes:
            raise BadYaml(_line(node), "an alias that contains itself")
        self._open_nodes.append(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, key_path)
            return self._sequence(node, key_path)
        finally:
            self._open_nodes.pop()

    def _sequence(self, node: Node, key_path: KeyPath) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            below = (*key_path, index)
            self._lines[below] = _line(item)
            values.append(self._value(item, below))
        return values

    def _mapping(self, node: MappingNode, key_path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        merged: list[MappingNode] = []
        for key, item in node.value:
            name = _key(key)
            if name in first_lines:
                shown = ".".join(map(str, (*key_path, name)))
                raise BadYaml(
                    _line(key), f"{shown} is given twice, first in line {first_lines[name]}"
                )
            first_lines[name] = _line(key)
            if name == "<<" and key.style is None:
                merged += _merged(item)
                continue
            below = (*key_path, name)
            self._lines[below] = _line(key)
            own[name] = self._value(item, below)
        for mapping in merged:
            self._merge(own, mapping, key_path)
        return own

    def _merge(self, own: dict[str, Any], mapping: MappingNode, key_path: KeyPath) -> None:
        # Build separately: the lines of existing keys must stay.
        lines, self._lines = self._lines, {}
        values = self._untagged(mapping, key_path)
        merged_lines, self._lines = self._lines, lines
        added = values.keys() - own.keys()
        own.update({name: value for name, value in values.items() if name in added})
        below = len(key_path)
        self._lines.update({at: n for at, n in merged_lines.items() if at[below] in added})


def _merged(item: Node) -> Iterator[MappingNode]:
    mappings = item.value if isinstance(item, SequenceNode) else [item]
    for mapping in mappings:
        if not isinstance(mapping, MappingNode):
            raise BadYaml(_line(item), "<< must be a mapping, or a list of mappings")
        yield mapping


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise BadYaml(_line(node), "a key must not be a list or a mapping")
    return _text(node)


def _scalar(node: ScalarNode) -> Any:
    text, kind = _text(node), node.tag.removeprefix(TAG)
    if not node.tag.startswith(TAG):
        # A tag of Compose, or an unknown one.
        kind = core_kind(text) if node.style is None else "str"
    if kind in ("null", "bool", "int", "float") and core_kind(text) == kind:
        return _PLAIN[kind](text)
    return text


def _integer(text: str) -> int | str:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    try:
        return int(text, base)
    except ValueError:
        # Thousands of digits.
        return text


_PLAIN: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": lambda text: float(re.sub(r"\.(?=inf|nan)", "", text.lower())),
}


def _text(node: ScalarNode) -> str:
    text: str = node.value
    if node.tag == f"{TAG}binary":
        # Compose decodes it: to a path or a key that nobody sees in the file.
        raise BadYaml(_line(node), "!!binary: write the text itself")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadYaml(_line(node), "an escape in double quotes is not a character")
    return text


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
