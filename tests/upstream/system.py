"""What the runner must know of a system: its sources, what is stubbed, and what proves it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.lab.hosts import LabHost
from tests.upstream.bases import Base
from tests.upstream.registries import Registries


@dataclass(frozen=True)
class Change:
    """A replacement in a file of the source.

    + find: must occur exactly once; empty: the file is new
    """

    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class Stub:
    """Something that cannot be had here, and what stands in for it.

    + what: for the table
    + changes: to the source, if it needs any
    """

    what: str
    changes: tuple[Change, ...] = ()


class System(ABC):
    """One app of apps/, released from a clone of its real repository.

    + repository: owner and name on the site that the app file names
    + secrets: the environment of the release
    + settings: of the release, as with --data
    + broken: makes the source a revision that must be rolled back
    + has_backup: the app file declares one
    + card_ends: the words with which a release on the simulated card ends; empty: no such release
    """

    name: ClassVar[str]
    repository: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]] = {}
    settings: ClassVar[Mapping[str, Any]] = {"gpu": "none"}
    bases: ClassVar[tuple[Base, ...]] = ()
    stubs: ClassVar[tuple[Stub, ...]] = ()
    broken: ClassVar[Change]
    card_ends: ClassVar[str] = ""
    has_backup: ClassVar[bool] = True
    real: ClassVar[str]

    def prepare(  # noqa: B027  most systems need nothing
        self, host: LabHost, source: Path, registries: Registries
    ) -> None:
        """Put on the host what an operator would: model files, for example.

        + source: a checkout of the repository
        + registries: for images that are built for it
        """

    @abstractmethod
    def prove(self, host: LabHost) -> str:
        """Use the system for what it is for; return what was seen. Raises AssertionError."""

    @abstractmethod
    def write(self, host: LabHost, text: str) -> None:
        """Have the system keep this text."""

    @abstractmethod
    def kept(self, host: LabHost) -> list[str]:
        """All texts that the system keeps."""


def put(host: LabHost, path: str, content: bytes) -> None:
    """Write a file of any size on the host."""
    host.run(f"mkdir -p $(dirname {path}) && cat >{path}", stdin=content, timeout=300)


def unpack(host: LabHost, directory: str, tar: bytes) -> None:
    """Unpack a tar on the host."""
    host.run(f"mkdir -p {directory} && tar -x -C {directory}", stdin=tar, timeout=300)
