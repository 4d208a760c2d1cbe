"""Verifies a release: requests, log lines and commands, each repeated until its deadline.

An app that still starts may answer wrongly for a while. A container that exited, restarts again and
again, or ran out of memory ends the verification at once, as does a line of verify.fatal that a
command prints; an error that a healthy app answers steadily ends it after a minute.
"""

from __future__ import annotations

import re
import time

from gpuhost.runner.docker.app_log import last_lines
from gpuhost.runner.docker.compose import ask, environment, words
from gpuhost.runner.docker.containers import LONGEST_LINE, find_trouble, first_fatal
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import VerifyStep
from gpuhost.runner.stages import steady_error
from gpuhost.runner.stages.steady_error import SteadyError
from gpuhost.runner.stages.verify_request import Problem, verify_request
from gpuhost.runner.state.log_matches import is_known, remember
from gpuhost.runner.state.release import Release

PAUSE = 1.0
# An unchanged problem is logged again after this time.
LOG_EVERY_S = 10.0
# A log may be very long: older lines are not searched.
LOG_LINES = 50_000
# Characters of a command in a message.
SHOWN = 80


def verify(release: Release, through: bool = False) -> None:
    """Run all steps of the plan, in order.

    + through: only requests with an address at nginx, sent to nginx

    Raises Failure: the step, what was expected, and the actual result.
    """
    for step in release.plan.verify.steps:
        if not through or (step.request and step.through):
            _repeat(release, step, through)


def _repeat(release: Release, step: VerifyStep, through: bool) -> None:
    began = time.monotonic()
    logged, logged_at = "", began
    last: Problem | None = None
    label = f"{step.name}, through nginx" if through else step.name
    steady = SteadyError(release, step, through)
    while True:
        left = began + step.within_s - time.monotonic()
        problem = _try(release, step, through, max(left, 1.0))
        elapsed = time.monotonic() - began
        if problem is None:
            release.log.write(f"verify {label}: good after {elapsed:.0f} s")
            return
        if trouble := find_trouble(release):
            raise Failure(f"verify {label}: {trouble}")
        if last is None or not problem.is_timeout:
            last = problem
        if problem.is_final or elapsed >= step.within_s:
            raise _failure(release, label, step, last)
        if steady.is_final(problem):
            duration = f"the same answer for {steady_error.STEADY_S:.0f} s"
            raise _failure(release, label, step, problem, duration)
        if problem.reason != logged or began + elapsed - logged_at >= LOG_EVERY_S:
            logged, logged_at = problem.reason, began + elapsed
            shown = _with_last_line(step, problem)
            release.log.write(f"verify {label}: {elapsed:.0f} s of {step.within_s}: {shown}")
        time.sleep(PAUSE)


def _failure(
    release: Release, label: str, step: VerifyStep, problem: Problem, steady: str = ""
) -> Failure:
    """+ steady: how long the app has answered the same error; "": the step ended otherwise"""
    duration = "" if problem.is_final else f" ({steady or f'for {step.within_s} s'})"
    masked = release.log.masked
    return Failure(
        masked(f"verify {label}: {problem.reason}{duration}"),
        output=tuple(map(masked, problem.output)),
        fix=problem.fix or (steady_error.FIX if steady else ""),
    )


def _try(release: Release, step: VerifyStep, through: bool, seconds: float) -> Problem | None:
    if step.request:
        return verify_request(release, step, through, seconds)
    if step.log:
        return _verify_log(release, step, seconds)
    return _verify_command(release, step, seconds)


def _verify_log(release: Release, step: VerifyStep, seconds: float) -> Problem | None:
    try:
        expression = re.compile(step.log)
    except re.error as error:
        raise Failure(
            f'verify {step.name}: "{step.log}" is not a regular expression: {error}'
        ) from error
    started = _start_times(release, step.service)
    if not started:
        return Problem(f"{step.service} does not run")
    if is_known(release, step, started):
        return None
    limit = max(seconds, 10)
    lines = last_lines(release, LOG_LINES, min(started), step.service, prefix=False, seconds=limit)
    if _matches(expression, lines):
        remember(release, step, started)
        return None
    last = tuple(release.log.masked_line(line, LONGEST_LINE) for line in lines[-10:])
    return Problem(f'no line of {step.service}\'s log matches "{step.log}"', last)


def _matches(expression: re.Pattern[str], lines: list[str]) -> bool:
    for line in lines:
        abort.look()
        if expression.search(line[:LONGEST_LINE]):
            return True
    return False


def _start_times(release: Release, service: str) -> tuple[str, ...]:
    """When each container of a service was started, in Docker's format."""
    containers = ask(release, "ps", "-q", service).out.split()
    if not containers:
        return ()
    command = ("docker", "inspect", "-f", "{{.State.StartedAt}}", *containers)
    return tuple(sorted(try_run(release.log, *command, seconds=30, quiet=True).out.split()))


def _verify_command(release: Release, step: VerifyStep, seconds: float) -> Problem | None:
    command = words(release, "exec", "-T", step.service, *step.command)
    # It is repeated: its last output is in the failure, once.
    outcome = try_run(
        release.log.silent(), *command, seconds=max(seconds, 5), env=environment(release)
    )
    if outcome.ok:
        return None
    ended = "did not end" if outcome.status is None else f"exit {outcome.status}"
    shown = _shorten(release, step.command)
    reason = ended if shown in step.name else f"{shown} in {step.service}: {ended}"
    if line := first_fatal(release, outcome.tail):
        return Problem(f"{reason}, and a fatal line: {_cut(line)}", outcome.tail, is_final=True)
    return Problem(reason, outcome.tail, is_timeout=outcome.status is None)


def _with_last_line(step: VerifyStep, problem: Problem) -> str:
    """What a command printed last says more than its exit status."""
    last = problem.output[-1].strip() if step.command and problem.output else ""
    return f"{problem.reason}: {_cut(last)}" if last else problem.reason


def _shorten(release: Release, command: tuple[str, ...]) -> str:
    """One line: the beginning is enough to recognize a script."""
    return _cut(" ".join(release.log.masked(" ".join(command)).split()))


def _cut(line: str) -> str:
    """+ line: masked already"""
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
