"""The files under /etc/apt as the blocks that apt sees in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from gpuhost.domain.apt import deb822, one_line
from gpuhost.domain.apt.archive import LIST, Distribution, OwnArchives
from gpuhost.domain.apt.entry import Block, Entry, SourceFile

T = TypeVar("T")
# Characters of a file that is kept after it was parsed.
SHORT = 16_000


def in_order(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Sorted by which of two equal definitions stays: *.sources, sources.list, the rest."""
    return sorted(
        files, key=lambda file: (not file.path.endswith(".sources"), file.path != LIST, file.path)
    )


def is_mirror_list(file: SourceFile) -> bool:
    return not file.path.endswith((".sources", ".list")) or not file.path.startswith(LIST)


def once_for_each_file(parse: Callable[[SourceFile], T]) -> Callable[[SourceFile], T]:
    """Several checks need the same file, and the hosts of a fleet have equal ones."""
    parse_once = lru_cache(maxsize=256)(parse)
    return lambda file: parse_once(file) if len(file.content) <= SHORT else parse(file)


@once_for_each_file
def blocks(file: SourceFile) -> tuple[Block, ...]:
    """The file in pieces; their texts joined with newlines are the file again."""
    if is_mirror_list(file):
        return ()
    if file.path.endswith(".sources"):
        return tuple(deb822.stanzas(file.content))
    return tuple(one_line.lines(file.content))


def entries(files: Iterable[SourceFile]) -> list[tuple[str, Entry]]:
    """Every active definition, with the path of its file, in the order of `in_order`."""
    return [
        (file.path, block.entry)
        for file in in_order(files)
        for block in blocks(file)
        if block.entry is not None
    ]


def listed_mirrors(content: str) -> tuple[str, ...]:
    """The URIs in a file that `mirror+file:` names; what follows a URI is about it."""
    lines = (line.split() for line in content.split("\n"))
    return tuple(words[0] for words in lines if words and not words[0].startswith("#"))


def own_archives(
    files: Iterable[SourceFile], distribution: Distribution, known: Iterable[str] = ()
) -> OwnArchives:
    """Which of the definitions in these files are the distribution's.

    + known: URIs that are its archives whatever they look like: those of the mirror.
    """
    files = list(files)
    lists = {file.path: listed_mirrors(file.content) for file in files if is_mirror_list(file)}
    return OwnArchives(entries(files), lists, distribution, known)
