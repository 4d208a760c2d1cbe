"""How long the app did not answer while one release replaced another."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request

from gpuhost.runner.state.release import Release

PAUSE = 0.1
PATIENCE = 2.0


class Downtime:
    """Asks the app's first health address from `begin` on; seconds without an answer add up."""

    def __init__(self, release: Release) -> None:
        steps = release.plan.verify.steps
        self._url = next((s.request.url for s in steps if s.request and not s.request.body), None)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._without = 0.0
        self._began = self._answered = False

    def begin(self) -> None:
        """From now on something changes that the app may feel. Again: nothing."""
        if self._began:
            return
        self._began = True
        # Only an app that answered before can be missed.
        self._answered = self._url is not None and _answers(self._url)
        if self._answered:
            self._thread.start()

    def __enter__(self) -> Downtime:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE + 1)

    @property
    def seconds(self) -> float | None:
        """None where nothing answered before."""
        return round(self._without, 1) if self._answered else None

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._over.wait(PAUSE):
            answers = _answers(self._url or "")
            now = time.monotonic()
            if not answers:
                self._without += now - last
            last = now


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        # The app itself said no; a gateway that says so has no app behind it.
        return error.code < 500
    except (OSError, ValueError, http.client.HTTPException):
        return False
