"""The exception of a failed stage, and words for others."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

FULL_FIX = "free space: `df -h /opt` and `df -i /opt` show what is full"
DISK_FIX = "the kernel's log says what is wrong with the disk: journalctl -k"
BUSY_FIX = (
    "free memory, or close files, and try again: `free -h` and `sysctl fs.file-nr` show what is "
    "used up"
)
# Errors of the host, not of gpuhost.
OF_HOST = {
    errno.ENOSPC: FULL_FIX,
    errno.EDQUOT: FULL_FIX,
    errno.EIO: DISK_FIX,
    errno.EROFS: DISK_FIX,
    errno.ENFILE: BUSY_FIX,
    errno.EMFILE: BUSY_FIX,
    errno.ENOMEM: BUSY_FIX,
}
TEMPORARY = (errno.EIO, errno.ENFILE, errno.EMFILE, errno.ENOMEM)


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

    @property
    def lines(self) -> tuple[str, ...]:
        """For a person, with the next step."""
        step = (f"-> {self.fix}",) if self.fix else ()
        return (self.said, *self.output, *step)


def failure_of(error: Exception, what: str = "", fix: str = "") -> Failure:
    """Of an OSError, or of what else reading a file raises.

    + what: failed; + fix: if the host is not the reason
    """
    if not isinstance(error, OSError):
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Failure(f"{what}: {said}" if what else said, fix=fix)
    name = repr(error.filename) if error.filename else ""
    said = ": ".join(filter(None, (what, name, error.strerror or str(error))))
    return Failure(said, fix=OF_HOST.get(error.errno or 0, fix))


def temporary(error: BaseException | None) -> OSError | None:
    """The error of the host that is the cause, if the next try may succeed without a person."""
    while isinstance(error, Failure):
        error = error.__cause__
    return error if isinstance(error, OSError) and error.errno in TEMPORARY else None


@contextmanager
def explained(
    what: str, fix: str = "", errors: tuple[type[Exception], ...] = (OSError,)
) -> Iterator[None]:
    """One of these errors becomes a Failure, as by `failure_of`."""
    try:
        yield
    except errors as error:
        raise failure_of(error, what, fix) from error


def in_words(error: Exception) -> str:
    """Of an exception that nobody foresaw. A UnicodeError has all the text in its repr, with its
    secrets.
    """
    shown = f"{type(error).__name__}: {error}" if isinstance(error, UnicodeError) else repr(error)
    return f"gpuhost itself failed: {shown}"
