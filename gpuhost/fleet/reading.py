"""Read one host: a connection and one exec. An error affects this host only."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import pyinfra.connectors.util
from paramiko import AuthenticationException, SSHException
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from gpuhost.domain.sizes import MB
from gpuhost.fleet.host_keys import HostKeyRefused
from gpuhost.remote.ssh_limits import TooMuchOutput
from gpuhost.settings import Settings

if TYPE_CHECKING:
    from gpuhost.snapshot import Snapshot

# Longer than the collector's slowest probe: anything beyond that hangs.
READ_TIMEOUT = 150
# Reserved of a host's time limit: for the login, and for everything but slow cards.
RESERVED, LEAST_PATIENCE = 10, 5
# What a command may print. A reading of a large host has a twentieth of it.
REPLY_BYTES = 8 * MB
# Characters of a reason, and of the foreign text in which it is looked for.
MAX_LENGTH, MAX_RAW = 200, 4000
# The collector for settings and a limit, which hosts of a fleet share.
_scripts: deque[tuple[Settings, float, str]] = deque(maxlen=8)


class Unreachable(Exception):
    """No connection or no login. fix: what to do."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class ReadFailed(Exception):
    """Logged in, but the host could not be read. fix: what to do."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class NoReply(ReadFailed):
    """The connection broke, or nothing arrived: a retry may work."""


class _PasswordNeeded(PyinfraError):
    """pyinfra would have asked for a sudo password on the terminal."""


def disable_password_prompts() -> None:
    """pyinfra no longer asks for a password in this process: the host becomes an error instead."""

    def refuse(prompt: str = "", stream: TextIO | None = None) -> str:
        raise _PasswordNeeded(prompt.strip())

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
    # pyinfra reports every cause as one kind of error; the real one is its context.
    cause = error.__context__
    if isinstance(cause, HostKeyRefused):
        return Unreachable(cause.reason, cause.fix)
    if isinstance(error, ConnectError) and isinstance(cause, AuthenticationException):
        user = host.data.get("ssh_user")
        return Unreachable(
            f"login refused{f' for user {user}' if user else ''}: {one_line(str(cause))}",
            "set ssh_user and ssh_key of this host, or add your public key to its authorized_keys",
        )
    # With several addresses paramiko has no single errno.
    return Unreachable(one_line(str(error)).replace("[Errno None] ", ""))


def read(host: Host, settings: Settings, seconds: float = READ_TIMEOUT) -> CommandOutput:
    """Run the collector, in one exec. Returns what it printed.

    + seconds: the limit of the host; a hanging card must not use all of it

    Raises ReadFailed.
    """
    commands = next((text for *known, text in _scripts if known == [settings, seconds]), "")
    if not commands:
        commands = _script(settings, seconds)
        _scripts.append((settings, seconds, commands))
    return ask(host, commands, READ_TIMEOUT, "the reading")


def _script(settings: Settings, seconds: float) -> str:
    # Imported when the first host has logged in: connections do not wait for it.
    from gpuhost.plans.request import request_for
    from gpuhost.snapshot.collector import PATIENCE, script

    patience = min(PATIENCE, max(LEAST_PATIENCE, int(seconds) - RESERVED))
    return script(request_for(settings), patience)


def unpack(reply: CommandOutput) -> Snapshot:
    """The snapshot in the collector's reply. Raises ReadFailed."""
    from gpuhost.snapshot import Snapshot
    from gpuhost.snapshot.transport import BadReply, decode

    try:
        return Snapshot(decode(reply.stdout_lines))
    except BadReply as error:
        last = _last_line(reply.output_lines) or "none"
        raise ReadFailed(f"{error}; last line of its output: {last}") from error


def ask(host: Host, commands: str, seconds: int, what: str) -> CommandOutput:
    """Run shell commands, as root if that needs no password.

    + seconds: the time limit
    + what: names them in the error, "the reading"

    Raises NoReply; ReadFailed also if the commands fail.
    """
    from gpuhost.snapshot.transport import ELEVATED_SHELL

    given = {"_stdin": commands, "_timeout": seconds}
    arguments, _ = pop_global_arguments(host.state, host, given)
    known = {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}
    try:
        succeeded, output = host.run_shell_command(StringCommand(ELEVATED_SHELL), **known)
    except _PasswordNeeded as error:
        raise ReadFailed(
            "sudo needs a password", "set _sudo_password, or allow sudo with NOPASSWD"
        ) from error
    except TimeoutError as error:
        raise NoReply(f"no reply within {seconds} s") from error
    except TooMuchOutput as error:
        raise ReadFailed(f"{what} printed more than {REPLY_BYTES // MB} MB") from error
    except (OSError, EOFError, SSHException) as error:
        raise NoReply(f"the connection was lost: {one_line(str(error))}") from error
    if not succeeded:
        # An interrupted session has no exit status and no output.
        kind = ReadFailed if output.output_lines else NoReply
        raise kind(f"{what} failed: {_last_line(output.output_lines) or 'no output'}")
    return output


def disconnect(host: Host) -> None:
    """Log out and close the connection, which pyinfra leaves open: many hosts use many files."""
    host.disconnect()
    client = getattr(host.connector, "client", None)
    if client is not None:
        client.close()


def _last_line(lines: Sequence[str]) -> str:
    filled = [line for line in lines if line.strip()]
    return one_line(filled[-1]) if filled else ""


def one_line(text: str) -> str:
    """Foreign text as one printable line of limited length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:MAX_RAW]).split())
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH - 1]}…"
