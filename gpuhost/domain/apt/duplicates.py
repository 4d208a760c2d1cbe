"""Never two active definitions of one archive: apt warns of them, and fails when their keys differ.

A used host often has both formats: an old sources.list beside the *.sources of a newer release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from math import prod
from typing import NamedTuple

from gpuhost.domain.apt.archive import Distribution, OwnArchives, archive_key
from gpuhost.domain.apt.documents import blocks, entries, in_order, own_archives
from gpuhost.domain.apt.entry import Block, Entry, SourceFile


class Part(NamedTuple):
    """One index that a definition makes apt fetch."""

    type: str
    archive: str
    suite: str
    component: str
    architecture: str


def duplicates(files: Iterable[SourceFile], distribution: Distribution) -> list[str]:
    """Where the distribution's archive is defined a second time: `file: suite component…`."""
    files = list(files)
    own = own_archives(files, distribution)
    seen: set[Part] = set()
    repeated = []
    for path, entry in entries(files):
        if own.has(entry):
            parts = _parts(entry, own, distribution)
            again = {f"{part.suite} {part.component}" for part in parts if part in seen}
            if again:
                repeated.append(f"{path}: {', '.join(sorted(again))}")
            seen.update(parts)
    return repeated


def without_duplicates(
    files: Iterable[SourceFile], distribution: Distribution, known: Iterable[str]
) -> list[SourceFile]:
    """Disables what an earlier definition already has; the *.sources files come first."""
    files = list(files)
    own = own_archives(files, distribution, known)
    seen: set[Part] = set()

    def keep_new(block: Block) -> str:
        entry = block.entry
        if entry is None or not own.has(entry):
            return block.text
        parts = _parts(entry, own, distribution)
        new = [part for part in parts if part not in seen]
        seen.update(parts)
        return block.text if len(new) == len(parts) else _only(new, block, entry, own, distribution)

    return [_edited(file, keep_new) for file in in_order(files)]


def with_one_key(
    files: Iterable[SourceFile], distribution: Distribution, known: Iterable[str]
) -> list[SourceFile]:
    """Gives all definitions of one suite of the mirror the keyring of the first.

    apt refuses to read anything when they differ ("Conflicting values set for option Signed-By").
    """
    files, known = list(files), list(known)
    own = own_archives(files, distribution, known)
    mirrored = {archive_key(uri) for uri in known}
    keyrings: dict[tuple[str, str], str] = {}
    for _, entry in entries(files):
        if entry.signed_by and own.has(entry):
            for release in _releases(entry, mirrored):
                keyrings.setdefault(release, entry.signed_by)

    def sign(block: Block) -> str:
        entry = block.entry
        if entry is None or not own.has(entry):
            return block.text
        keyring = next((keyrings[r] for r in _releases(entry, mirrored) if r in keyrings), None)
        unlike = keyring is not None and keyring != entry.signed_by
        return block.with_signed_by(keyring).text if keyring and unlike else block.text

    return [_edited(file, sign) for file in in_order(files)]


def _edited(file: SourceFile, edit: Callable[[Block], str]) -> SourceFile:
    pieces = blocks(file)
    if not pieces:
        return file
    return SourceFile(file.path, "\n".join(edit(block) for block in pieces))


def _only(
    new: list[Part], block: Block, entry: Entry, own: OwnArchives, distribution: Distribution
) -> str:
    foreign = tuple(uri for uri in entry.uris if own.archive(uri, entry) is None)
    if not new:
        return (block.with_uris(foreign) if foreign else block.switched_off()).text

    def narrowed(parts: list[Part]) -> str:
        return _narrowed(block, entry, parts, own, distribution).text

    if len(new) == prod(len(set(values)) for values in zip(*new, strict=True)):
        return narrowed(new)
    pieces: dict[Part, list[Part]] = {}
    for part in new:
        pieces.setdefault(part._replace(component=""), []).append(part)
    return block.separator.join(map(narrowed, pieces.values()))


def _narrowed(
    block: Block,
    entry: Entry,
    parts: list[Part],
    own: OwnArchives,
    distribution: Distribution,
) -> Block:
    """The block with these parts only."""
    types, archives, suites, components, architectures = (
        tuple(dict.fromkeys(values)) for values in zip(*parts, strict=True)
    )
    uris = tuple(u for u in entry.uris if own.archive(u, entry) in (None, *archives))
    if types != entry.types:
        block = block.with_types(types)
    if uris != entry.uris:
        block = block.with_uris(uris)
    if suites != entry.suites:
        block = block.with_suites(suites)
    if components != entry.components:
        block = block.with_components(components)
    if architectures != _architectures(entry, distribution):
        block = block.with_architectures(architectures)
    return block


def _parts(entry: Entry, own: OwnArchives, distribution: Distribution) -> list[Part]:
    archives = sorted({archive for uri in entry.uris if (archive := own.archive(uri, entry))})
    every = product(
        entry.types,
        archives,
        entry.suites,
        entry.components,
        _architectures(entry, distribution),
    )
    return [Part(*values) for values in dict.fromkeys(every)]


def _architectures(entry: Entry, distribution: Distribution) -> tuple[str, ...]:
    host = (distribution.architecture, *distribution.foreign_architectures)
    return entry.architectures or host


def _releases(entry: Entry, mirrored: set[str]) -> list[tuple[str, str]]:
    keys = [archive_key(uri) for uri in entry.uris]
    return [(key, suite) for key in keys if key in mirrored for suite in entry.suites]
