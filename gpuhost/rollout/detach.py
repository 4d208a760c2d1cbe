"""Ctrl-C while a release is watched: the watching ends, the release does not."""

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

from gpuhost.domain.exit_status import (
    Exit,
)

_sentences: list[str] = []
_before: list[Any] = []


@contextmanager
def detaching(host: Host, app: str, what: str) -> Iterator[None]:
    """Within, Ctrl-C says where `what` goes on and how to follow it, and ends this process.

    pyinfra's own handler ends it too, with exit status 0 and not a word of this.
    """
    sentence = (
        f"{host.print_prefix}detached: the {what} goes on on {host.name}; follow it: "
        f"{following(host.name, app)}"
    )
    _sentences.append(sentence)
    if not _before:
        # Not in the main thread of a program of one's own: its Ctrl-C is its own affair.
        with suppress(ValueError):
            _before.append(signal.signal(signal.SIGINT, _say_and_exit) or signal.SIG_DFL)
    try:
        yield
    finally:
        _sentences.remove(sentence)
        # With several hosts at a time, the last one gives it back.
        if _before and not _sentences:
            signal.signal(signal.SIGINT, _before.pop())


def following(host: str, app: str) -> str:
    """The command that follows a release of an app on a host."""
    return f"gpuhost logs {_inventory()} --limit {host} --app {app} --follow"


def _inventory() -> str:
    """As it was given to pyinfra, by a person or by `gpuhost deploy`."""
    if not pyinfra.is_cli:
        return "INVENTORY"
    from pyinfra_cli.cli import cli  # type: ignore[import-untyped]

    words = cli.make_context("pyinfra", sys.argv[1:], resilient_parsing=True).params
    return quote(words["inventory"] or "INVENTORY")


def _say_and_exit(number: int, frame: FrameType | None) -> NoReturn:
    # A line of its own, behind the terminal's ^C.
    click.echo(err=True)
    for sentence in _sentences:
        click.echo(sentence, err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Raised where the signal happens to arrive, SystemExit would end a connection's thread alone,
    # and pyinfra's own way out waits for the place that a watched host holds.
    os._exit(int(Exit.INTERRUPTED))
