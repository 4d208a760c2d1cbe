"""Detects a restart loop while Compose starts an app.

Compose would wait until its own time limit. Stopping the container ends the wait.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from gpuhost.runner.docker.containers import find_looping
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.state.release import Release

PAUSE = 2.0
STOP_S = 10


class Watch:
    """A context manager.

    + trouble: the restart loop, in words; None: there was none
    """

    def __init__(self, release: Release) -> None:
        self.trouble: str | None = None
        self._release = release
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        # The runner itself meets the failure too, and tells it.
        with suppress(Failure):
            self._watch()

    def _watch(self) -> None:
        while not self._stop.wait(PAUSE):
            if container := find_looping(self._release):
                self.trouble = container.loop
                self._release.log.write(f"{self.trouble}: stopped")
                stop = ("docker", "stop", "-t", str(STOP_S), container.name)
                try_run(NOWHERE, *stop, seconds=STOP_S + 60, quiet=True)
                return
