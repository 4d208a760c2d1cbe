"""Proposals as the text of an app file."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gpuhost.appfile.proposing.proposal import ITEM, Note, Proposal, Proposed, Value
from gpuhost.appfile.schema import KEY
from gpuhost.appfile.yaml_nodes import core_kind

WIDTH = 100
# The order of the sections in the file.
SECTIONS = (
    *("source", "compose", "profiles", "variables", "secrets", "build", "gpu", "with_gpu"),
    *("without_gpu", "directories", "one_shots", "migrate", "backup", "verify", "nginx", "public"),
)
PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@+-]*")


def rendered(head: Sequence[str], proposed: Iterable[Proposed]) -> str:
    """The app file. head: comments at its top."""
    proposed = tuple(proposed)
    lines = [line for text in head for line in _comment(text, "")]
    sections = (list(_section(section, proposed)) for section in SECTIONS)
    lines += ["", f"{KEY}:"]
    lines += "\n\n".join("\n".join(section) for section in sections if section).split("\n")
    return "\n".join(lines) + "\n"


def _section(name: str, proposed: Sequence[Proposed]) -> Iterator[str]:
    notes = [one for one in proposed if isinstance(one, Note) and one.section == name]
    keys = [one for one in proposed if isinstance(one, Proposal) and one.path[0] == name]
    for note in notes:
        yield from _comment(f"TODO: {note.text}" if note.todo else note.text, "  ")
    yield from _keys(keys, 0, "  ", is_comment=False)


def _keys(
    proposals: Sequence[Proposal], depth: int, indent: str, *, is_comment: bool
) -> Iterator[str]:
    """The lines of proposals that have the same first keys; a suggestion is a comment."""
    for name in dict.fromkeys(one.path[depth] for one in proposals if one.path[depth] != ITEM):
        below = [one for one in proposals if one.path[depth] == name]
        for leaf in (one for one in below if len(one.path) == depth + 1):
            yield from _leaf(f"{flow(name)}: ", leaf, indent, is_comment=is_comment)
        deeper = [one for one in below if len(one.path) > depth + 1]
        if deeper:
            starts = not is_comment and all(one.suggested for one in deeper)
            within = f"{indent}# " if starts else indent
            yield f"{within}{flow(name)}:"
            yield from _keys(deeper, depth + 1, f"{within}  ", is_comment=is_comment or starts)
    for item in (one for one in proposals if one.path[depth] == ITEM):
        kind, value = _only(item.value)
        inner = replace(item, value=value)
        yield from _leaf(f"- {kind}: ", inner, indent, is_comment=is_comment)


def _leaf(key: str, proposal: Proposal, indent: str, *, is_comment: bool) -> Iterator[str]:
    """+ is_comment: the indentation has the # already"""
    start = f"{indent}# " if proposal.suggested and not is_comment else indent
    line = f"{start}{key}{flow(proposal.value)}"
    reason = one_line(proposal.reason)
    if not reason:
        yield line
    elif len(line) + len(reason) + 4 <= WIDTH:
        yield f"{line}  # {reason}"
    else:
        yield from _comment(reason, indent)
        yield line


def _only(value: Value) -> tuple[str, Value]:
    """The one key of a mapping, and its value."""
    assert isinstance(value, Mapping)
    ((key, inner),) = value.items()
    return flow(key), inner


def _started(indent: str, *, is_comment: bool) -> tuple[str, str]:
    """How a line starts, and the indentation of what is below it."""
    if not is_comment or "#" in indent:
        return indent, indent
    return f"{indent}# ", f"{indent}# "


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        one_line(text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def one_line(text: str) -> str:
    """Text for a comment: names from a project may hold any character."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def flow(value: Value) -> str:
    """YAML on one line. In the block, $$ is a $."""
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, str):
        return _text(value.replace("$", "$$"))
    if isinstance(value, Sequence):
        return f"[{', '.join(map(flow, value))}]"
    return "{" + ", ".join(f"{flow(name)}: {flow(item)}" for name, item in value.items()) + "}"


def _text(value: str) -> str:
    if PLAIN.fullmatch(value) and core_kind(value) == "str" and value.lower() not in YAML_1_1:
        return value
    # JSON is YAML, but for the characters that YAML allows only as escapes.
    return json.dumps(value, ensure_ascii=not value.isprintable())


# Other programs read these as booleans.
YAML_1_1 = frozenset(("yes", "no", "on", "off", "y", "n"))
