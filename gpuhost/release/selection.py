"""Which files of a local directory are sent with a release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Paths relative to the directory; a directory stands for everything in it.

    + named: always sent, also where .dockerignore excludes it: that is for builds only
    + private: files that are sent with mode 0600
    + data: not sent: git ignores it, so it is not of the project
    + only_named: beside build contexts nothing else is sent
    """

    named: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    only_named: bool = False

    def decides(self, name: str, contexts: Iterable[str]) -> bool | None:
        """Whether a path is sent; None: the build contexts decide."""
        if _is_below(name, self.named) or _contains_one(name, self.named):
            return True
        if _is_below(name, self.data):
            return False
        if not self.only_named or _is_below(name, contexts):
            return None
        return _contains_one(name, contexts)


def _is_below(name: str, directories: Iterable[str]) -> bool:
    return any(
        directory == "." or name == directory or name.startswith(f"{directory}/")
        for directory in directories
    )


def _contains_one(directory: str, names: Iterable[str]) -> bool:
    return any(name.startswith(f"{directory}/") for name in names)
