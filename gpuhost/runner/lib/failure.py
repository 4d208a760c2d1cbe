"""The exception of a failed stage, and words for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Failure(Exception):
    """A stage failed.

    + said: what failed, one line, with the message of the tool
    + output: the last lines of the tool
    + fix: an instruction for a person; "" if none is known
    """

    def __init__(self, said: str, *, output: tuple[str, ...] = (), fix: str = "") -> None:
        super().__init__(said)
        self.said = said
        self.output = output
        self.fix = fix


@contextmanager
def explained(what: str, fix: str) -> Iterator[None]:
    """An OSError becomes a Failure. + what: failed"""
    try:
        yield
    except OSError as error:
        name = f"{error.filename!r}: " if error.filename else ""
        raise Failure(f"{what}: {name}{error.strerror or error}", fix=fix) from error


def in_words(error: Exception) -> str:
    """Of an exception that nobody foresaw. A UnicodeError has all the text in its repr, with its
    secrets.
    """
    shown = f"{type(error).__name__}: {error}" if isinstance(error, UnicodeError) else repr(error)
    return f"gpuhost itself failed: {shown}"
