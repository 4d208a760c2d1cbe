"""One host, read once: a connection and one exec. Whatever goes wrong is this host's alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import pyinfra.connectors.util
from paramiko import AuthenticationException, SSHException
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from gpuhost.fleet.host_keys import HostKeyRefused
from gpuhost.plans.reading import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.collector import PATIENCE, script
from gpuhost.snapshot.transport import ELEVATED_SHELL, BadReply, decode

# Longer than the collector's slowest probe; what takes longer hangs on the way.
READ_TIMEOUT = 150
# Of a host's limit, for the login and for what is read beside slow cards.
WAY_AND_REST, LEAST_PATIENCE = 10, 5
SHOWN = 200


class Unreachable(Exception):
    """No login. fix: what a person does about it."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class NotReadable(Exception):
    """A login, and no reading. fix: what a person does about it."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class BrokenOff(NotReadable):
    """The connection ended, or nothing came: it may be there again later."""


class _PasswordWanted(PyinfraError):
    """pyinfra would have asked for a sudo password on the terminal."""


def never_ask() -> None:
    """From here on pyinfra asks for no password in this process: the host becomes an error."""

    def refuse(prompt: str = "", stream: TextIO | None = None) -> str:
        raise _PasswordWanted(prompt.strip())

    pyinfra.connectors.util.getpass = refuse


def connect(host: Host) -> None:
    """Log in.

    Raises Unreachable, whatever the cause.
    """
    try:
        host.connect(show_errors=False, raise_exceptions=True)
    except (ConnectError, PyinfraError, SSHException, OSError, ValueError) as error:
        raise _unreachable(host, error) from error


def _unreachable(host: Host, error: Exception) -> Unreachable:
    # pyinfra reports every cause as one kind of error; the cause itself hangs on it.
    cause = error.__context__
    if isinstance(cause, HostKeyRefused):
        return Unreachable(cause.reason, cause.fix)
    if isinstance(error, ConnectError) and isinstance(cause, AuthenticationException):
        user = host.data.get("ssh_user")
        return Unreachable(
            f"login refused{f' for user {user}' if user else ''}: {one_line(str(cause))}",
            "set ssh_user and ssh_key of this host, or put your public key into its "
            "authorized_keys",
        )
    # Of several addresses paramiko names none in particular.
    return Unreachable(one_line(str(error)).replace("[Errno None] ", ""))


def read(host: Host, settings: Settings, seconds: float = READ_TIMEOUT) -> Snapshot:
    """What the collector tells of this host, in one exec.

    + seconds: the limit of the host; a card that hangs must not take all else with it

    Raises NotReadable.
    """
    patience = min(PATIENCE, max(LEAST_PATIENCE, int(seconds) - WAY_AND_REST))
    commands = script(request_for(settings), patience)
    output = ask(host, commands, READ_TIMEOUT, "the reading")
    try:
        return Snapshot(decode(output.stdout_lines))
    except BadReply as error:
        raise NotReadable(f"{error}; it said: {_last(output.output_lines)}") from error


def ask(host: Host, commands: str, seconds: int, what: str) -> CommandOutput:
    """Run shell commands, as root where that is possible without asking anybody.

    + seconds: the longest it may take
    + what: names it in the error, "the reading"

    Raises BrokenOff, and NotReadable also when the commands fail.
    """
    given = {"_stdin": commands, "_timeout": seconds}
    arguments, _ = pop_global_arguments(host.state, host, given)
    known = {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}
    try:
        succeeded, output = host.run_shell_command(StringCommand(ELEVATED_SHELL), **known)
    except _PasswordWanted as error:
        raise NotReadable(
            "sudo wants a password", "set _sudo_password, or allow sudo with NOPASSWD"
        ) from error
    except TimeoutError as error:
        raise BrokenOff(f"no reply within {seconds} s") from error
    except (OSError, EOFError, SSHException) as error:
        raise BrokenOff(f"the connection broke off: {one_line(str(error))}") from error
    if not succeeded:
        # A session that is cut has no status and no last words.
        broken = BrokenOff if not output.output_lines else NotReadable
        raise broken(f"{what} failed: {_last(output.output_lines)}")
    return output


def disconnect(host: Host) -> None:
    """Log out. pyinfra leaves the connection open, which many hosts would feel."""
    host.disconnect()
    client = getattr(host.connector, "client", None)
    if client is not None:
        client.close()


def _last(lines: Sequence[str]) -> str:
    said = [line for line in lines if line.strip()]
    return one_line(said[-1]) if said else "nothing"


def one_line(text: str) -> str:
    """Text from elsewhere, printable, on one line and of a bearable length."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
