"""A GET that is answered with the same error again and again, by an app that is not loading.

Apps that load answer 502, 503 or 504, refuse the connection, or say so in their log; some answer
500 or 404 meanwhile. So the error counts only if the health check of the same container passes and
no line of verify.loading is in the log.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from gpuhost.runner.docker.containers import loading_line, release_containers
from gpuhost.runner.plan import VerifyStep
from gpuhost.runner.stages.verify_request import Problem
from gpuhost.runner.state.release import Release

# A healthy app may still prepare something for its first requests.
STEADY_S = 60.0
FIX = (
    "the app is healthy and answers this each time: find out why from its log; if it answers this "
    "while it loads, add a line of its log to verify.loading in the app file"
)


class SteadyError:
    """Watches the problems of one step."""

    def __init__(self, release: Release, step: VerifyStep, through: bool) -> None:
        self._release, self._step, self._through = release, step, through
        self._reason = ""
        self._since = 0.0

    def is_final(self, problem: Problem) -> bool:
        """Whether there is no use in repeating the step until its deadline."""
        # Without the body, which may have a time or the number of the request.
        if self._reason != problem.reason:
            self._reason, self._since = problem.reason, time.monotonic()
        is_steady = problem.is_error and time.monotonic() - self._since >= STEADY_S
        return is_steady and self._is_healthy() and not loading_line(self._release)

    def _is_healthy(self) -> bool:
        # Sent to nginx, the step has passed without it: the app is ready.
        return self._through or any(
            container.health == "healthy" and self._port() in container.ports
            for container in release_containers(self._release)
        )

    def _port(self) -> int | None:
        request = self._step.request
        try:
            return urlsplit(request.url).port if request else None
        except ValueError:
            return None
