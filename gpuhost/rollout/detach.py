"""Ctrl-C while a release is watched detaches; the release continues on the host."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from types import FrameType
from typing import Any, NoReturn

import click
import pyinfra
from pyinfra.api.host import Host

from gpuhost.domain.exit_status import Exit

_messages: list[str] = []
_previous_handler: list[Any] = []


@contextmanager
def detach_on_interrupt(host: Host, app: str, what: str) -> Iterator[None]:
    """Inside, Ctrl-C prints where `what` continues and how to follow it, and ends this process.

    pyinfra's own handler would exit with status 0 and print nothing.
    """
    message = (
        f"{host.print_prefix}detached: the {what} continues on {host.name}; follow it: "
        f"{follow_command(host.name, app)}"
    )
    _messages.append(message)
    if not _previous_handler:
        # Only the main thread can set a handler; a program that embeds pyinfra handles Ctrl-C.
        with suppress(ValueError):
            _previous_handler.append(
                signal.signal(signal.SIGINT, _print_and_exit) or signal.SIG_DFL
            )
    try:
        yield
    finally:
        _messages.remove(message)
        # With several hosts at a time, the last one restores the handler.
        if _previous_handler and not _messages:
            signal.signal(signal.SIGINT, _previous_handler.pop())


def follow_command(host: str, app: str) -> str:
    """The command that follows a release of an app on a host."""
    return f"gpuhost logs {_inventory()} --limit {host} --app {app} --follow"


def _inventory() -> str:
    """The argument of pyinfra, from the command line or from `gpuhost deploy`."""
    if not pyinfra.is_cli:
        return "INVENTORY"
    from pyinfra_cli.cli import cli  # type: ignore[import-untyped]

    words = cli.make_context("pyinfra", sys.argv[1:], resilient_parsing=True).params
    return quote(words["inventory"] or "INVENTORY")


def _print_and_exit(number: int, frame: FrameType | None) -> NoReturn:
    # A new line after the terminal's ^C.
    click.echo(err=True)
    for message in _messages:
        click.echo(message, err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not SystemExit: raised in a connection's greenlet it would end only that one, and pyinfra's
    # own exit waits for the hosts that are still followed.
    os._exit(int(Exit.INTERRUPTED))
