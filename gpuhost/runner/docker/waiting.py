"""From started to up: still loading waits, broken fails at once."""

from __future__ import annotations

import time

from gpuhost.runner.docker.containers import find_trouble, loading_line, own
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release

PAUSE = 1.0
# How often the log says that it still waits.
SAID_EVERY = 5.0


def wait_until_up(release: Release) -> None:
    """Until every container runs and is healthy.

    Raises Failure as soon as it is known that this will not happen, or after plan.verify.start_s;
    the app's own last words are in the result beside it.
    """
    began = said = time.monotonic()
    limit = release.plan.verify.start_s
    while True:
        containers = own(release)
        if trouble := find_trouble(release, containers):
            raise Failure(trouble)
        waited_for = [container for container in containers if not container.is_up]
        if containers and not waited_for:
            return
        now = time.monotonic()
        if now - began > limit:
            raise Failure(
                f"not up after {limit} s: {in_words(waited_for) or 'no container was started'}",
                fix="if it only needs longer, raise verify.start_s in the app file",
            )
        if now - said >= SAID_EVERY:
            said = now
            release.log.write(_progress(release, waited_for, now - began))
        time.sleep(PAUSE)


def _progress(release: Release, waited_for: list[Container], seconds: float) -> str:
    loading = loading_line(release)
    tail = f"; still loading: {loading.strip()}" if loading else ""
    return f"waiting, {seconds:.0f} s: {in_words(waited_for)}{tail}"


def in_words(containers: list[Container]) -> str:
    return ", ".join(f"{one.service} is {one.health or one.state}" for one in containers)
