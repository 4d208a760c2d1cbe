"""What is proposed: a key of the block with its value and reason, or a note for a section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

Value = Union[None, bool, int, str, Sequence["Value"], Mapping[str, "Value"]]  # noqa: UP007
# In a path: the item of a list.
ITEM = "-"


@dataclass(frozen=True)
class Proposal:
    """A line of the block.

    + path: its keys below x-gpuhost: ("secrets", "API_KEY")
    + reason: what it was read from
    + suggested: written as a comment; the reader decides
    """

    path: tuple[str, ...]
    value: Value
    reason: str
    suggested: bool = False


@dataclass(frozen=True)
class Note:
    """A comment on a section. todo: something that only the reader can decide."""

    section: str
    text: str
    todo: bool = False


Proposed = Union[Proposal, Note]  # noqa: UP007
