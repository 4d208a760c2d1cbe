"""Measures how long the app does not answer while a release replaces another."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request

from gpuhost.runner.state.release import Release

PAUSE = 0.1
TIMEOUT = 2.0


class Downtime:
    """A context manager: requests the app's first health address from `begin` on."""

    def __init__(self, release: Release) -> None:
        steps = release.plan.verify.steps
        self._url = next((s.request.url for s in steps if s.request and not s.request.body), None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._seconds = 0.0
        self._began = self._answered = False

    def begin(self) -> None:
        """Start to measure before the first change. Again: no effect."""
        if self._began:
            return
        self._began = True
        # An app that did not answer before has no downtime.
        self._answered = self._url is not None and _answers(self._url)
        if self._answered:
            self._thread.start()

    def __enter__(self) -> Downtime:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT + 1)

    @property
    def seconds(self) -> float | None:
        """Seconds without an answer; None if the app did not answer before."""
        return round(self._seconds, 1) if self._answered else None

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(PAUSE):
            answers = _answers(self._url or "")
            time_s = time.monotonic()
            if not answers:
                self._seconds += time_s - last
            last = time_s


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        # An error of the app itself is an answer; one of a gateway means that the app is down.
        return error.code < 500
    except (OSError, ValueError, http.client.HTTPException):
        return False
