"""What makes apt refuse every source: one archive with two keys, and lines that it cannot read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpuhost.domain.apt.archive import LIST
from gpuhost.domain.apt.documents import blocks, once_for_each_file
from gpuhost.domain.apt.entry import Entry, SourceFile
from gpuhost.domain.apt.release_files import list_file

# Debian's changelog of apt: an empty Signed-By is no error any more, and no other key. Until Debian
# 12 and Ubuntu 24.04 a definition without a key must not follow one with a key.
ACCEPTS_NO_KEY = (2, 9, 8)


@dataclass(frozen=True)
class Definition:
    """An active definition and its lines in its file, from 1."""

    path: str
    first: int
    last: int
    entry: Entry

    def __str__(self) -> str:
        return f"{self.path}:{self.first}"


@dataclass(frozen=True)
class Conflict:
    """Two definitions of one archive that apt does not accept together.

    + archive: its URI and suite; release_file: the name of its list; option: what differs
    """

    one: Definition
    other: Definition
    archive: str
    release_file: str
    option: str


def definitions(files: Iterable[SourceFile]) -> list[Definition]:
    """Every active definition in apt's own order: sources.list, then the others by name."""
    in_order = sorted(files, key=lambda file: (file.path != LIST, file.path))
    return [definition for file in in_order for definition in _definitions(file)]


@once_for_each_file
def _definitions(file: SourceFile) -> tuple[Definition, ...]:
    return tuple(
        Definition(file.path, _first_field(text, number), number + text.count("\n"), entry)
        for number, text, entry in _numbered(file)
        if entry is not None
    )


def conflicts(files: Iterable[SourceFile], architecture: str, apt_version: str) -> list[Conflict]:
    """Each archive with the first two definitions that differ.

    + architecture: apt writes it in place of `$(ARCH)`
    + apt_version: "" if it is not known
    """
    numbers = tuple(map(int, re.findall(r"[0-9]{1,9}", apt_version)[:3]))
    is_strict = bool(numbers) and numbers < ACCEPTS_NO_KEY
    found: dict[str, Conflict] = {}
    first: dict[str, Definition] = {}
    for definition in definitions(files):
        for uri, suite in releases(definition.entry, architecture):
            name = list_file(uri, suite)
            before = first.setdefault(name, definition)
            if option := _differs(definition.entry, before.entry, is_strict=is_strict):
                conflict = Conflict(before, definition, f"{uri} {suite}", name, option)
                found.setdefault(name, conflict)
            elif not _key(before.entry):
                # Every apt accepts a key after definitions without one.
                first[name] = definition
    return list(found.values())


def releases(entry: Entry, architecture: str) -> Iterator[tuple[str, str]]:
    """URI and suite of everything that a definition makes apt fetch."""
    for uri in entry.uris:
        for suite in entry.suites:
            yield uri.replace("$(ARCH)", architecture), suite.replace("$(ARCH)", architecture)


def malformed(files: Iterable[SourceFile]) -> list[str]:
    """Lines and stanzas that apt cannot read, as PATH:LINE."""
    return [
        f"{file.path}:{_first_field(text, number)}"
        for file in files
        for number, text, entry in _numbered(file)
        if (_is_broken(entry) if entry else _is_garbage(file, text))
    ]


def _numbered(file: SourceFile) -> Iterator[tuple[int, str, Entry | None]]:
    number = 1
    for block in blocks(file):
        yield number, block.text, block.entry
        number += block.text.count("\n") + 1


def _first_field(text: str, number: int) -> int:
    """The line of the first word that is no comment."""
    lines = text.split("\n")
    return number + next((n for n, line in enumerate(lines) if _has_words(line)), 0)


def _has_words(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key(entry: Entry) -> str:
    return " ".join((entry.signed_by or "").replace(",", " ").split())


def _differs(entry: Entry, before: Entry, *, is_strict: bool) -> str | None:
    """The option that apt would complain of; None: nothing."""
    if _key(before) and (_key(entry) or is_strict) and _key(entry) != _key(before):
        return "Signed-By"
    ours, theirs = dict(entry.trust), dict(before.trust)
    names = (name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name))
    return next((name.title() for name in names), None)


def _is_broken(entry: Entry) -> bool:
    """A suite that ends with a slash is a path, and has no components; any other needs some."""
    return not all(":" in uri for uri in entry.uris) or any(
        suite.endswith("/") == bool(entry.components) for suite in entry.suites
    )


def _is_garbage(file: SourceFile, text: str) -> bool:
    words = "\n".join(filter(_has_words, text.split("\n")))
    if not file.path.endswith(".sources"):
        # Quoted words are rare, and not read here.
        return bool(words) and '"' not in words
    off = re.search(r"^enabled:\s*(?:no|false|without|off|disable|0)\s*$", words, re.I | re.M)
    return bool(words) and not off
