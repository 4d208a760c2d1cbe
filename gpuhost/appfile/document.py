"""An app file's YAML: the values by YAML 1.2, and the line of each.

Compose's own tags (`!reset`, `!override`) are ignored, and merge keys are followed. A duplicate key
is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from yaml.composer import Composer
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

KeyPath = tuple[str | int, ...]

# A few aliases can expand to millions of values.
MAX_VALUES = 50_000
TAG = "tag:yaml.org,2002:"
# Text that PyYAML's messages quote from the file, which may be a secret. Not '<stream end>'.
QUOTED = re.compile(r"""'(?!<)[^'\\][^']+'|"(?!<)[^"\\][^"]+\"""")
# https://yaml.org/spec/1.2.2, "Core Schema": yes, no, on, off and 22:22 are text.
CORE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    (
        "float",
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    ),
)


class BadYaml(ValueError):
    """line: from 1; 0 if unknown."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True)
class Document:
    value: Any
    lines: dict[KeyPath, int]

    def line(self, key_path: KeyPath) -> int:
        """The line of a key, or of the nearest key that contains it."""
        for end in range(len(key_path), 0, -1):
            if key_path[:end] in self.lines:
                return self.lines[key_path[:end]]
        return 1


class _NodeReader(Reader, Scanner, Parser, Composer):
    """From text to nodes, without PyYAML's YAML 1.1 rules for plain scalars."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        # An anchor may be defined again; the last definition counts.
        if not self.check_event(AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def descend_resolver(self, *_: object) -> None: ...

    def ascend_resolver(self) -> None: ...

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        return TAG + _core(value) if kind is ScalarNode and implicit[0] else f"{TAG}str"


def read(text: str) -> Document:
    """Raises BadYaml: not YAML, not one document, a key twice, an alias inside itself."""
    try:
        node = _NodeReader(text).get_single_node()
        return _DocumentBuilder().document(node)
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
        value = None if node is None else self._value(node, ())
        return Document(value, self._lines)

    def _value(self, node: Node, key_path: KeyPath) -> Any:
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
        values = self._value(mapping, key_path)
        merged_lines, self._lines = self._lines, lines
        for name, value in values.items():
            if name not in own:
                own[name] = value
                below = (*key_path, name)
                added = {at: n for at, n in merged_lines.items() if at[: len(below)] == below}
                self._lines.update(added)


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
        kind = _core(text) if node.style is None else "str"
    if kind in ("null", "bool", "int", "float") and _core(text) == kind:
        return _PLAIN[kind](text)
    return text


def _core(text: str) -> str:
    return next((kind for kind, form in CORE if form.fullmatch(text)), "str")


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
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadYaml(_line(node), "an escape in double quotes is not a character")
    return text


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
