"""Ctrl-C while many greenlets run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import gevent  # type: ignore[import-untyped]


@contextmanager
def interruption_reaches_this_greenlet() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt in this greenlet, whichever one runs at that moment.

    Python raises it in the running greenlet. That may be a thread of paramiko or of the progress
    bar: threads are greenlets too, and ignore the exception.
    """
    target = gevent.getcurrent()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if gevent.getcurrent() is target:
            raise KeyboardInterrupt
        gevent.kill(target, KeyboardInterrupt)

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
