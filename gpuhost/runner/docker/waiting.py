"""Waits until an app is up; a broken one fails at once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gpuhost.runner.docker.containers import find_trouble, loading_line, release_containers
from gpuhost.runner.docker.health_tests import HealthTests, describe
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.health import same_at_the_end
from gpuhost.runner.state.release import Release

PAUSE = 1.0
# Seconds between two progress lines.
LOG_EVERY_S = 5.0
# Most containers that end by themselves have ended after this time: a bucket made, a file written.
UNCLEAR_S = 5.0
# After as many equal answers, more time alone will hardly help.
STEADY = 5
MORE_TIME = "if the app needs more time, raise verify.start_s in the app file"


def wait_until_up(release: Release) -> None:
    """Wait until every container runs and is healthy.

    If the engine runs a health test too rarely, it is run by hand, and one success counts.

    Raises Failure as soon as a container is broken, or after plan.verify.start_s.
    """
    tests = HealthTests(release)
    began = logged = time.monotonic()
    limit = release.plan.verify.start_s
    while True:
        containers = release_containers(release)
        if trouble := find_trouble(release, containers):
            raise Failure(trouble)
        waiting = [each for each in containers if not each.is_up and not tests.passed(each)]
        elapsed = time.monotonic() - began
        is_clear = elapsed > min(UNCLEAR_S, limit) or not _may_end(release, containers)
        if containers and not waiting and is_clear:
            return
        if elapsed > limit:
            reason = in_words(release, waiting, tests) or "no container was started"
            fix = _advice(release, waiting, tests)
            raise Failure(f"not up after {limit} s: {reason}", fix=fix)
        if began + elapsed - logged >= LOG_EVERY_S:
            logged = began + elapsed
            release.log.write(_progress(release, waiting, elapsed, tests))
        time.sleep(PAUSE)


def _may_end(release: Release, containers: Sequence[Container]) -> bool:
    """Whether one that was just started may end by itself, or crash after it began.

    Nothing else tells it from a server: it has no port, no health check, and the engine does not
    start it again after an exit with 0.
    """
    return any(
        each.one_shot
        and not each.serves
        and each.state == "running"
        and release.before.has_started(each)
        for each in containers
    )


def _progress(
    release: Release, waiting: list[Container], seconds: float, tests: HealthTests
) -> str:
    loading = loading_line(release)
    # First: the end of a long line is not shown where pyinfra runs.
    first = f"still loading: {loading.strip()}; " if loading else ""
    return f"waiting, {seconds:.0f} s: {first}{in_words(release, waiting, tests)}"


def in_words(
    release: Release, containers: Sequence[Container], tests: HealthTests | None = None
) -> str:
    """Why containers are not up.

    + tests: the tests of the wait; without them only what the engine keeps is known
    """
    return ", ".join(
        describe(each, release.log, tests.answers(each) if tests else ()) for each in containers
    )


def _advice(release: Release, waiting: Sequence[Container], tests: HealthTests) -> str:
    """What a person does about containers that are not up in time."""
    for container in waiting:
        answers, check = tests.answers(container), container.health_check
        if not answers or check is None:
            continue
        service, last = container.service, answers[-1]
        if last.is_missing_program:
            return (
                f"the image of {service} lacks the program of its health check: change "
                f"healthcheck.test of {service} in the Compose file to one that the image has"
            )
        if last.is_timeout:
            return (
                f"the health check of {service} does not end within {check.timeout_s:g} s: raise "
                f"healthcheck.timeout of {service} in the Compose file, or find out from its log "
                "why it does not answer"
            )
        if same_at_the_end(answers) >= STEADY and not loading_line(release):
            return (
                f"the health check of {service} fails in the same way each time: find out why "
                "from the log of the app; raise verify.start_s in the app file only if the app is "
                "still loading"
            )
    return MORE_TIME
