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
    bar, which are greenlets too, and a thread drops the exception.
    """
    here = gevent.getcurrent()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if gevent.getcurrent() is here:
            raise KeyboardInterrupt
        gevent.kill(here, KeyboardInterrupt)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
