"""Limits of every SSH command on this side: how much it may print, how long it may take, and how
long the connection may be silent. pyinfra waits for ever for a host that stops to answer.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import gevent  # type: ignore[import-untyped]
import pyinfra.connectors.ssh
from paramiko import Channel, SSHException, Transport
from pyinfra.api.output import echo, format_text
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from gpuhost.domain.plain_text import plain
from gpuhost.domain.sizes import MB
from gpuhost.remote.ssh_packets import limit_packets

# As OpenSSH with `ServerAliveInterval 15`: three questions without an answer.
QUESTION_SECONDS = 15
SILENT_SECONDS = 45
# After its own limit a command must be ended by the host, and its exit status must arrive.
GRACE_SECONDS = 15
# Of deploys, whose tools may print much.
DEPLOY_BYTES = 64 * MB
CHUNK_BYTES = 1 << 16
# Memory that a line needs besides its text.
LINE_BYTES = 64

_run = SSHConnector.run_shell_command
# Connections that are asked for a sign of life; those that were closed here, with the reason.
_watched: WeakSet[Transport] = WeakSet()
_closed: WeakKeyDictionary[Transport, str] = WeakKeyDictionary()


class NoAnswer(SSHException):
    """The host does not answer any more: the command may still run there."""


class TooMuchOutput(SSHException):
    """The command printed more than the limit; the rest was not read."""


class _Late(BaseException):
    """Not an Exception: no handler in between may swallow it."""


def limit_ssh(max_bytes: int = DEPLOY_BYTES) -> None:
    """From now on all SSH commands of this process have limits.

    + max_bytes: what one command may print
    """
    limit_packets()
    connector: Any = SSHConnector
    connector.run_shell_command = _run_in_time
    reader = partial(_read_output, max_bytes)
    pyinfra.connectors.ssh.read_output_buffers = reader


def _watched_transport(connector: SSHConnector) -> Transport | None:
    transport = connector.client.get_transport() if connector.client else None
    if transport and transport not in _watched:
        _watched.add(transport)
        gevent.spawn(_watch, transport)
    return transport


def _watch(transport: Transport) -> None:
    """Close a connection that does not answer: what waits for it ends.

    A server answers every request that wants a reply, also one that it does not know (RFC 4254, 4).
    """
    while transport.is_active():
        gevent.sleep(QUESTION_SECONDS)
        answered = False
        with gevent.Timeout(SILENT_SECONDS, False):
            transport.global_request("keepalive@openssh.com", wait=True)
            answered = True
        if not answered:
            _close(transport, f"the host did not answer for {SILENT_SECONDS} s")


def _close(transport: Transport, reason: str) -> None:
    _closed[transport] = f"{reason}: the connection is closed"
    transport.close()


def _run_in_time(
    self: SSHConnector, command: Any, *flags: bool, **arguments: Any
) -> tuple[bool, CommandOutput]:
    """pyinfra's own limit covers only the reading of the output, and not the words for it.

    Raises NoAnswer if the host does not answer; TimeoutError for a limit that the command does not
    have by itself.
    """
    own = getattr(command, "connector_arguments", {}).get("_timeout")
    seconds = arguments.get("_timeout") or own
    transport = _watched_transport(self)
    try:
        with gevent.Timeout(seconds + GRACE_SECONDS if seconds else None, _Late):
            succeeded, output = _run(self, command, *flags, **{**arguments, "_timeout": seconds})
    except _Late:
        if transport:
            _close(transport, f"the host did not answer within {seconds} s")
        raise NoAnswer(f"the host did not answer within {seconds} s") from None
    except TimeoutError:
        if own:
            raise NoAnswer(f"the host did not answer within {own} s") from None
        raise
    except (SSHException, OSError, EOFError) as error:
        _raise_if_closed(transport, error)
        raise
    if not succeeded:
        # A connection that breaks ends a command as if it had failed without a word.
        _raise_if_closed(transport)
    return succeeded, output


def _raise_if_closed(transport: Transport | None, cause: Exception | None = None) -> None:
    if transport and (reason := _closed.get(transport)):
        raise NoAnswer(reason) from cause


def _read_output(
    max_bytes: int,
    stdout: Any,
    stderr: Any,
    timeout: int | None,
    print_output: bool,
    print_prefix: str,
) -> CommandOutput:
    """In place of pyinfra's `read_output_buffers`, which has no limit, and drops the rest of an
    output with a byte that is not UTF-8.
    """
    channel: Channel = stdout.channel
    output = _Output(channel, max_bytes, print_prefix if print_output else None)
    readers = [
        gevent.spawn(output.read, "stdout", channel.recv),
        gevent.spawn(output.read, "stderr", channel.recv_stderr),
    ]
    if len(gevent.wait(readers, timeout=timeout)) != len(readers):
        gevent.killall(readers)
        channel.close()
        raise TimeoutError
    if output.error:
        raise output.error
    return CommandOutput(output.lines)


@dataclass
class _Output:
    """What a command prints. print_prefix: also print it here; None: do not."""

    channel: Channel
    left: int
    print_prefix: str | None
    lines: list[OutputLine] = field(default_factory=list)
    error: Exception | None = None

    def read(self, name: str, receive: Callable[[int], bytes]) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun: list[str] = []
        try:
            while chunk := receive(CHUNK_BYTES):
                self._count(chunk)
                *ends, rest = decoder.decode(chunk).split("\n")
                if ends:
                    ends[0] = "".join([*begun, ends[0]])
                    begun.clear()
                    self._add(name, ends)
                begun.append(rest)
            if last := "".join([*begun, decoder.decode(b"", True)]):
                self._add(name, [last])
        except Exception as error:
            # Of a greenlet it would only be printed.
            self.error = self.error or error

    def _count(self, chunk: bytes) -> None:
        self.left -= len(chunk) + LINE_BYTES * chunk.count(b"\n")
        if self.left < 0:
            self.channel.close()
            raise TooMuchOutput("it printed more than is read")

    def _add(self, name: str, lines: Sequence[str]) -> None:
        self.lines += [OutputLine(name, line) for line in lines]
        for line in lines if self.print_prefix is not None else ():
            shown = plain(line)
            text = format_text(shown, "red") if name == "stderr" else shown
            echo(f"{self.print_prefix}{text}", err=True)
