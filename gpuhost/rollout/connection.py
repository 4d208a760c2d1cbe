"""Commands on a host whose connection may break, whichever way it is reached."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import dropwhile
from typing import Protocol

from paramiko import SSHException
from pyinfra.api.exceptions import ConnectError

# What SSH libraries raise when a connection breaks.
CONNECTION_ERRORS = (SSHException, EOFError, OSError, ConnectError)


def without_greeting(lines: Iterable[str]) -> list[str]:
    """An answer in JSON and what follows it, without what the login shell printed first: bash reads
    ~/.bashrc also for one command.
    """
    return list(dropwhile(lambda line: not line.startswith("{"), lines))


class RoundTripTimeout(BaseException):
    """Not an Exception: no handler in between may swallow it."""


class ConnectionLost(Exception):
    """The command or its answer did not arrive. The message has the reason, if known."""


class CommandFailed(Exception):
    """The host answered with an error; the message is its output."""


class Connection(Protocol):
    """A way to run commands on a host."""

    def run(self, *words: str | int, seconds: int) -> list[str]:
        """The lines that a command prints. Raises ConnectionLost or CommandFailed."""

    def reconnect(self) -> None:
        """Log in again. Raises nothing: if it fails, the next command raises ConnectionLost."""
