"""From a YAML text to nodes, as the YAML library of Compose reads it.

PyYAML's rules for plain values (YAML 1.1) are left out, and tabs are allowed where Compose allows
them: between tokens, and inside and after plain text, but never as indentation.
"""

from __future__ import annotations

import re
from typing import Any

from yaml.composer import Composer
from yaml.events import AliasEvent, StreamEndEvent
from yaml.nodes import Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

TAG = "tag:yaml.org,2002:"
BREAKS = "\r\n\x85\u2028\u2029"
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


def core_kind(text: str) -> str:
    """The type of a plain value: null, bool, int, float or str."""
    return next((kind for kind, form in CORE if form.fullmatch(text)), "str")


class NodeReader(Reader, Scanner, Parser, Composer):
    """The nodes of every document of a text."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def documents(self) -> list[Node]:
        """Raises YAMLError."""
        nodes = []
        while self.check_node():
            node = self.get_node()
            assert node is not None
            nodes.append(node)
        # What follows the last document must be YAML too.
        assert self.check_event(StreamEndEvent)
        return nodes

    def compose_node(self, parent: Any, index: Any) -> Any:
        # An anchor may be defined again; the last definition counts.
        if not self.check_event(AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def descend_resolver(self, *_: object) -> None: ...

    def ascend_resolver(self) -> None: ...

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        return TAG + core_kind(value) if kind is ScalarNode and implicit[0] else f"{TAG}str"

    def scan_to_next_token(self) -> None:
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            # Where a key may start, a tab would be indentation.
            while self.peek() == " " or (self.peek() == "\t" and self._tab_may_separate()):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in f"\0{BREAKS}":
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def _tab_may_separate(self) -> bool:
        return bool(self.flow_level) or not self.allow_simple_key

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """A tab in plain text is text, and one before a comment or the end of a line is not."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        if length == 0 or "\t" not in self.prefix(length):
            return super().scan_plain_spaces(indent, start_mark)
        after = self.peek(length)
        if after in f"\0#{BREAKS}":
            self.forward(length)
            # A "#" after a blank starts a comment, which ends the text.
            return [] if after == "#" else super().scan_plain_spaces(indent, start_mark)
        text = self.prefix(length)
        self.forward(length)
        return [text]
