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

_sentences: list[str] = []
_previous_handler: list[Any] = []


@contextmanager
def detach_on_interrupt(host: Host, app: str, what: str) -> Iterator[None]:
    """Inside, Ctrl-C prints where `what` continues and how to follow it, and ends this process.

    pyinfra's own handler would exit with status 0 and print nothing.
    """
    sentence = (
        f"{host.print_prefix}detached: the {what} continues on {host.name}; follow it: "
        f"{follow_command(host.name, app)}"
    )
    _sentences.append(sentence)
    if not _previous_handler:
        # Only the main thread can set a handler; a program that embeds pyinfra handles Ctrl-C.
        with suppress(ValueError):
            _previous_handler.append(
                signal.signal(signal.SIGINT, _print_and_exit) or signal.SIG_DFL
            )
    try:
        yield
    finally:
        _sentences.remove(sentence)
        # With several hosts at a time, the last one restores the handler.
        if _previous_handler and not _sentences:
            signal.signal(signal.SIGINT, _previous_handler.pop())


def follow_command(host: str, app: str) -> str:
    """The command that follows a release of an app on a host."""
    return f"gpuhost logs {_inventory()} --limit {host} --app {app} --follow"


def _inventory() -> str:
    """As it was given to pyinfra, by a person or by `gpuhost deploy`."""
    if not pyinfra.is_cli:
        return "INVENTORY"
    from pyinfra_cli.cli import cli  # type: ignore[import-untyped]

    words = cli.make_context("pyinfra", sys.argv[1:], resilient_parsing=True).params
    return quote(words["inventory"] or "INVENTORY")


def _print_and_exit(number: int, frame: FrameType | None) -> NoReturn:
    # A new line after the terminal's ^C.
    click.echo(err=True)
    for sentence in _sentences:
        click.echo(sentence, err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # SystemExit could be raised in a connection's greenlet and end only that; and pyinfra's own
    # exit waits for the hosts that are still being watched.
    os._exit(int(Exit.INTERRUPTED))
