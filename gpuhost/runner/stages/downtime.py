"""Measures how long the app does not answer while a release replaces another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from gpuhost.runner.site.http import NoAnswer, ask
from gpuhost.runner.state.release import Release

PAUSE = 0.1
TIMEOUT = 2.0
# From one moment to another, both of the monotonic clock.
Interval = tuple[float, float]


class Downtime:
    """A context manager: requests every health address of the app from `begin` on."""

    def __init__(self, release: Release) -> None:
        self._log = release.log
        requests = (step.request for step in release.plan.verify.steps if step.request)
        urls = (one.url for one in requests if one.method == "GET" and not one.then)
        self._urls = tuple(dict.fromkeys(urls))
        self._stop = threading.Event()
        self._addresses: tuple[_Address, ...] = ()
        self._began = False

    def begin(self) -> None:
        """Start to measure before the first change. Again: no effect."""
        if self._began:
            return
        self._began = True
        # An address that did not answer before has no downtime.
        self._addresses = tuple(_Address(url, self._stop) for url in self._urls if _answers(url))
        for address in self._addresses:
            address.thread.start()

    def __enter__(self) -> Downtime:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for address in self._addresses:
            address.thread.join(TIMEOUT + 1)
        if len(self._addresses) > 1 and self.seconds:
            each = (f"{one.url} {union_s(one.down):.1f} s" for one in self._addresses)
            self._log.write(f"without an answer: {', '.join(each)}")

    @property
    def seconds(self) -> float | None:
        """Seconds in which an address gave no answer; None if none of them did before."""
        down = [interval for address in self._addresses for interval in address.down]
        return round(union_s(down), 1) if self._addresses else None


class _Address:
    """Requests one address again and again.

    + down: when it did not answer
    """

    def __init__(self, url: str, stop: threading.Event) -> None:
        self.url, self._stop = url, stop
        self.down: list[Interval] = []
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(PAUSE):
            answers = _answers(self.url)
            now = time.monotonic()
            if not answers:
                self.down.append((last, now))
            last = now


def union_s(intervals: Iterable[Interval]) -> float:
    """The seconds that intervals cover together; time that several cover counts once.

    >>> union_s([(1, 3), (2, 4), (6, 7)])
    4.0
    """
    covered, end = 0.0, float("-inf")
    for begin, until in sorted(intervals):
        covered += max(0.0, until - max(begin, end))
        end = max(end, until)
    return covered


def _answers(url: str) -> bool:
    """An error of the app itself is an answer; one of a gateway means that the app is down."""
    try:
        return ask(url, seconds=TIMEOUT).status < 500
    except NoAnswer:
        return False
