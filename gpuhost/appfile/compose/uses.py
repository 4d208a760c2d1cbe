"""Where the files of a project use variables that are not set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gpuhost.runner.contract import is_proxy

# A service of one file: the file's path and the service's name.
Owner = tuple[str, str]


@dataclass(frozen=True)
class Use:
    """A variable without value and default.

    + where: file and line, for messages
    + owner: the service; None: outside of services
    + is_extension: under a key x-…, which only the services see that use it
    + required: ${NAME:?}, which Compose refuses in every service
    + maybe: only the host can tell whether it is set
    """

    name: str
    where: str
    owner: Owner | None = None
    is_extension: bool = False
    required: bool = False
    maybe: bool = False


@dataclass(frozen=True)
class Uses:
    """All of them.

    + owners: of each service of the project, what it is made of: the services that it extends
    """

    all: tuple[Use, ...] = ()
    owners: Mapping[str, frozenset[Owner]] | None = None

    def refused(self, started: Iterable[str]) -> Iterator[Use]:
        """Those without which these services cannot run as meant; one for each name."""
        running = self._running(started)
        names = set()
        for use in self.all:
            if self._matters(use, running) and not use.maybe and use.name not in names:
                names.add(use.name)
                yield use

    @staticmethod
    def _matters(use: Use, running: Collection[Owner]) -> bool:
        # Many files pass proxies through. Without a value, the host's are used.
        if is_proxy(use.name):
            return use.required
        if use.owner is None:
            return use.required or not use.is_extension
        return use.required or use.owner in running

    def optional(self, started: Iterable[str]) -> tuple[str, ...]:
        """The names that matter to none of these services."""
        needed = {use.name for use in self.all if self._matters(use, self._running(started))}
        return tuple(sorted({use.name for use in self.all} - needed))

    def _running(self, started: Iterable[str]) -> set[Owner]:
        owners = self.owners or {}
        return {owner for service in started for owner in owners.get(service, ())}
