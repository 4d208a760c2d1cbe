"""Runs the health tests of containers by hand while the engine's next run of them is far away.

An engine before Docker 25 asks a new container for the first time after a whole interval: a release
would wait for half a minute, or for an hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.health import NO_EXIT, Answer, HealthCheck, last_line, same_at_the_end
from gpuhost.runner.state.release import Release

# The engine's next run is near: it is waited for.
NEAR_S = 5.0
# Between two runs by hand; Docker's own start interval.
PAUSE_S = 5.0


@dataclass
class _Asked:
    """Every answer of one container since the wait began, the engine's and those by hand."""

    answers: list[Answer] = field(default_factory=list)
    latest: float = 0.0
    may_run_at: float = 0.0
    thread: threading.Thread | None = None
    is_passed: bool = False

    def add(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if answer.began > self.latest:
                self.answers.append(answer)
                self.latest = answer.began


class HealthTests:
    """The health tests of the containers that one wait is for."""

    def __init__(self, release: Release) -> None:
        self._log = release.log
        self._asked: dict[tuple[str, str], _Asked] = {}

    def passed(self, container: Container) -> bool:
        """Whether its test has passed by hand; starts a run of the test if one is due."""
        check, asked = container.health_check, self._of(container)
        if check is None or container.state != "running" or not container.health:
            return False
        asked.add(check.answers)
        if not asked.is_passed and self._is_due(container, check, asked):
            asked.thread = threading.Thread(
                target=self._run, args=(container, check, asked), daemon=True
            )
            asked.thread.start()
        return asked.is_passed

    def answers(self, container: Container) -> tuple[Answer, ...]:
        return tuple(self._of(container).answers)

    def _of(self, container: Container) -> _Asked:
        return self._asked.setdefault((container.id, container.started), _Asked())

    def _is_due(self, container: Container, check: HealthCheck, asked: _Asked) -> bool:
        is_running = asked.thread is not None and asked.thread.is_alive()
        is_far = check.next_in_s(container.started, time.time()) > NEAR_S
        return is_far and not is_running and time.monotonic() >= asked.may_run_at

    def _run(self, container: Container, check: HealthCheck, asked: _Asked) -> None:
        began = time.time()
        words = ("docker", "exec", container.name, *check.test)
        outcome = try_run(self._log.silent(), *words, seconds=check.timeout_s)
        status, said = outcome.status, last_line("\n".join(outcome.tail))
        if status is None:
            status, said = NO_EXIT, f"Health check exceeded timeout ({check.timeout_s:g} s)"
        asked.add([Answer(began, time.time(), status, said)])
        # A test that was stopped may still run in the container.
        asked.may_run_at = time.monotonic() + (
            PAUSE_S if outcome.status is not None else max(PAUSE_S, check.timeout_s)
        )
        if outcome.ok:
            asked.is_passed = True
            seconds = check.next_in_s(container.started, time.time())
            self._log.write(
                f"health check of {container.service}: passed, run by gpuhost: the engine's next "
                f"run is in {seconds:.0f} s"
            )


def describe(container: Container, log: Log, answers: tuple[Answer, ...] = ()) -> str:
    """Why a container is not up, in words.

    + log: masks the answers
    + answers: of its health check; default: those that the engine keeps
    """
    check = container.health_check
    answers = answers or (check.answers if check else ())
    if not answers or container.state != "running":
        return f"{container.service} is {container.health or container.state}"
    count = same_at_the_end(answers)
    times = f", {count} times the same" if count > 1 else ""
    last = answers[-1].in_words(log)
    return f"health check of {container.service}: last answer {last}{times}"
