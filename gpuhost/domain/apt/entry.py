"""One definition of packages, as apt understands it: a line of a *.list or a *.sources stanza."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SourceFile:
    """A file under /etc/apt: a list, a *.sources, or a list of mirrors that one of them names."""

    path: str
    content: str


# sources.list(5); apt compares these between all definitions of one archive.
TRUST = (
    *("trusted", "check-valid-until", "valid-until-min", "valid-until-max"),
    *("check-date", "date-max-future", "inrelease-path"),
)


@dataclass(frozen=True)
class Entry:
    """One definition. `architectures` empty: all of the host's; `signed_by` None: any key that apt
    trusts; `trust`: other options about what apt believes, which must agree too, by name."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    signed_by: str | None = None
    trust: tuple[tuple[str, str], ...] = ()


class Block(Protocol):
    """A piece of a file. `entry` is None for comments, blanks, what is disabled or unreadable.

    The `with_…` methods change only the field that they name. `separator` goes
    between two blocks that were one.
    """

    @property
    def text(self) -> str: ...
    @property
    def separator(self) -> str: ...
    @property
    def entry(self) -> Entry | None: ...
    def with_types(self, types: tuple[str, ...]) -> Block: ...
    def with_uris(self, uris: tuple[str, ...]) -> Block: ...
    def with_suites(self, suites: tuple[str, ...]) -> Block: ...
    def with_components(self, components: tuple[str, ...]) -> Block: ...
    def with_architectures(self, architectures: tuple[str, ...]) -> Block: ...
    def with_signed_by(self, keyring: str) -> Block: ...
    def switched_off(self) -> Block: ...
