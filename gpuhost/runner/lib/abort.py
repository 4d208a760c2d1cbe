"""Ends the work in progress when a person asks for it, at a point where it can be undone.

Such points are the starts of stages and commands, and the time while a command or a request runs.
Undoing is never aborted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gpuhost.runner.lib.failure import Failure

T = TypeVar("T")
# Between two looks while a command or a request runs.
LOOK_S = 0.5

_who: Callable[[], str] | None = None


class Aborted(Failure):
    """A person has asked to end the operation."""

    def __init__(self, by: str) -> None:
        super().__init__(f"aborted by {by}")
        self.by = by


@contextmanager
def abortable(who: Callable[[], str]) -> Iterator[None]:
    """Inside, `check` raises Aborted once somebody has asked for it.

    + who: returns who has asked; "": nobody
    """
    global _who
    _who = who
    try:
        yield
    finally:
        _who = None


def check() -> None:
    """Raises Aborted. Helper threads are not aborted: the main thread ends them."""
    if _who and threading.current_thread() is threading.main_thread() and (by := _who()):
        raise Aborted(by)


def in_background(function: Callable[[], T]) -> T:
    """The result of a function that blocks for a while, or what it raises. Raises Aborted."""
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
