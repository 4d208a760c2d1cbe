"""While Compose starts an app: a container that restarts over and over is found out.

Compose waits for it to be healthy, for as long as it is let. It is stopped: that ends the waiting.
"""

from __future__ import annotations

import threading

from gpuhost.runner.docker.containers import looping
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.state.release import Release

PAUSE = 2.0
STOP_S = 10


class Watch:
    """trouble: what was found; None: nothing."""

    def __init__(self, release: Release) -> None:
        self.trouble: str | None = None
        self._release = release
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            if container := looping(self._release):
                self.trouble = container.loop
                self._release.log.write(f"{self.trouble}: stopped")
                stop = ("docker", "stop", "-t", str(STOP_S), container.name)
                try_run(NOWHERE, *stop, seconds=STOP_S + 60, quiet=True)
                return
