"""Ends the work in progress when a person asks for it or its time is over, where it can be undone.

Such points are the starts of stages and commands, the time while a command or a request runs, and
each file and piece of a file that the runner itself reads, copies, packs or deletes.
Undoing is never aborted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gpuhost.runner.lib.failure import Failure

T = TypeVar("T")
# Between two looks at the request.
LOOK_S = 0.5

_require_going: Callable[[], None] | None = None
_next_look = 0.0


class Aborted(Failure):
    """A person has asked to end the operation."""

    def __init__(self, by: str) -> None:
        super().__init__(f"aborted by {by}")
        self.by = by


@contextmanager
def abortable(
    who: Callable[[], str], require_time: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Inside, `check` raises Aborted once somebody has asked for it.

    + who: returns who has asked; "": nobody
    + require_time: raises Failure once the time limit of the operation is over
    """
    global _require_going, _next_look

    def require_going() -> None:
        if by := who():
            raise Aborted(by)
        require_time()

    _require_going, _next_look = require_going, 0.0
    try:
        yield
    finally:
        _require_going = None


@contextmanager
def cleanup() -> Iterator[None]:
    """Inside, nothing is aborted: what ends an aborted work must itself come to its end."""
    global _require_going
    before, _require_going = _require_going, None
    try:
        yield
    finally:
        _require_going = before


def check() -> None:
    """Raises Aborted, or Failure after the time limit of the operation.

    Helper threads are not aborted: the main thread ends them.
    """
    if _require_going and threading.current_thread() is threading.main_thread():
        _require_going()


def look() -> None:
    """`check` from time to time: for each piece of a long work. Raises Failure."""
    global _next_look
    if _require_going and time.monotonic() >= _next_look:
        check()
        _next_look = time.monotonic() + LOOK_S


def in_background(function: Callable[[], T]) -> T:
    """The result of a function that blocks for a while, or what it raises. Raises Failure."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LOOK_S)
        check()
    if errors:
        raise errors[0]
    return results[0]
