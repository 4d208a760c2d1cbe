"""Ends what would take minutes or hours: a time that grows with the square of a text's size."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 20


@contextmanager
def cpu_budget() -> Iterator[None]:
    """By CPU time, so that a busy machine does not matter."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"more than {SECONDS} s of CPU")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
