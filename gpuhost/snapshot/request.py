"""What is read from a host: each reader declares its part beside its parser.

A module of this package declares `REQUEST`, what it always reads. A module of gpuhost.plans offers
`request(settings)`, the paths that its settings name. `|` unites them, and collector.py renders
the whole as one script.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import chain
from typing import Literal

from gpuhost.snapshot.probes import Probe

NOTHING = Probe(0)
List = Literal[
    "files",
    "packages",
    "units",
    "managed",
    "plain",
    "directories",
    "swap_files",
    "watched",
    "checkouts",
]


@dataclass(frozen=True)
class ProbeCommand:
    """One bounded, read-only command that the collector runs on the host.

    + command: as a POSIX shell reads it: a pattern of paths is expanded on the host
    + seconds: its time limit; None: the patience of the reading, for what many cards make slow
    + arguments: the list of `Request` that follows the command; nothing is run for an empty list
    + only_if: a shell condition, without which it is not run
    + at_once: it only asks the kernel and reads small files of the system: one after another, with
      one limit for all of them, and much cheaper
    + last: run after all others have ended
    + absent: its result on a host without the thing that it reads; None: it is not run
    """

    name: str
    command: str
    seconds: int | None = 10
    arguments: List | None = None
    only_if: str = ""
    at_once: bool = False
    last: bool = False
    absent: Probe | None = NOTHING


@dataclass(frozen=True)
class Request:
    """What one reading reads.

    + files: small files that every user may read; their text
    + packages: names and patterns of packages; their versions
    + units: systemd units; their state
    + managed: configuration files; owner, mode and hash
    + plain: other paths; owner and mode
    + directories: the free space of their file systems
    + swap_files: whether they are swap
    + watched: patterns of files; their hashes
    + checkouts: directories; what in them others can change
    + probes: commands of the reader's own
    """

    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    managed: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    swap_files: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    checkouts: tuple[str, ...] = ()
    probes: tuple[ProbeCommand, ...] = ()

    @classmethod
    def union(cls, requests: Iterable[Request]) -> Request:
        every = list(requests)
        lists = ([getattr(one, f.name) for one in every] for f in fields(cls))
        return cls(*(tuple(dict.fromkeys(chain.from_iterable(parts))) for parts in lists))

    def __or__(self, other: Request) -> Request:
        return Request.union((self, other))

    def covers(self, other: Request) -> bool:
        return all(set(getattr(self, f.name)) >= set(getattr(other, f.name)) for f in fields(self))
