"""Waits until an app is up; a broken one fails at once."""

from __future__ import annotations

import time

from gpuhost.runner.docker.containers import find_trouble, loading_line, release_containers
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release

PAUSE = 1.0
# Seconds between two progress lines.
LOG_EVERY_S = 5.0


def wait_until_up(release: Release) -> None:
    """Wait until every container runs and is healthy.

    Raises Failure as soon as a container is broken, or after plan.verify.start_s.
    """
    began = logged = time.monotonic()
    limit = release.plan.verify.start_s
    while True:
        containers = release_containers(release)
        if trouble := find_trouble(release, containers):
            raise Failure(trouble)
        waiting = [container for container in containers if not container.is_up]
        if containers and not waiting:
            return
        elapsed = time.monotonic() - began
        if elapsed > limit:
            raise Failure(
                f"not up after {limit} s: {in_words(waiting) or 'no container was started'}",
                fix="if the app needs more time, raise verify.start_s in the app file",
            )
        if began + elapsed - logged >= LOG_EVERY_S:
            logged = began + elapsed
            release.log.write(_progress(release, waiting, elapsed))
        time.sleep(PAUSE)


def _progress(release: Release, waiting: list[Container], seconds: float) -> str:
    loading = loading_line(release)
    tail = f"; still loading: {loading.strip()}" if loading else ""
    return f"waiting, {seconds:.0f} s: {in_words(waiting)}{tail}"


def in_words(containers: list[Container]) -> str:
    return ", ".join(f"{c.service} is {c.health or c.state}" for c in containers)
