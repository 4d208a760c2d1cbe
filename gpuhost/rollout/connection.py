"""Commands on a host whose connection may break: what the ways to reach it have in common."""

from __future__ import annotations

from typing import Protocol

from paramiko import SSHException
from pyinfra.api.exceptions import ConnectError

# A command may take this much longer than its own limit to travel; then the connection is lost.
ROUND_TRIP_SECONDS = 30
# What SSH libraries raise when a connection breaks.
CONNECTION_ERRORS = (SSHException, EOFError, OSError, ConnectError)


class RoundTripTimeout(BaseException):
    """Not an Exception: no handler of ordinary errors on the way may swallow it."""


class ConnectionLost(Exception):
    """The command or its answer did not arrive. The message says why, if that is known."""


class CommandFailed(Exception):
    """The host answered with an error; the message is what it printed."""


class Connection(Protocol):
    """How a host is reached."""

    def run(self, *words: str | int, seconds: int) -> list[str]:
        """Lines that a command prints. Raises ConnectionLost or CommandFailed."""

    def reconnect(self) -> None:
        """Log in again. Raises nothing: if it fails, the next command raises ConnectionLost."""
