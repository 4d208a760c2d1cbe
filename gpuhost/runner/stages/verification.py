"""A release is verified: requests, log lines and commands, each until its deadline.

An app that still starts may answer wrongly for a while, so a step is repeated until its time is up;
a container that ended, restarts over and over or ran out of memory ends it at once.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from gpuhost.runner.docker.compose import ask as ask_compose
from gpuhost.runner.docker.compose import environment, words
from gpuhost.runner.docker.containers import find_trouble
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Expect, Request, VerifyStep
from gpuhost.runner.site import certificates
from gpuhost.runner.site.answers import at, wrong
from gpuhost.runner.site.http import Answer, NoAnswer, ask, origin
from gpuhost.runner.site.nginx_sites import ANY
from gpuhost.runner.state.log_matches import is_known, remember
from gpuhost.runner.state.release import Release

PAUSE = 1.0
# What is still the same is said again after so long.
SAID_EVERY = 10.0
LOOPBACK = "127.0.0.1"
# Too many at once, or nothing behind the gateway yet: the answer of an app that still starts.
NOT_YET = (429, 502, 503, 504)
# Older lines than these are not looked at: a log may be as long as its rotation lets it.
LOG_LINES = 50_000
# Characters of a command.
SHOWN = 80


@dataclass(frozen=True)
class Wrong:
    """Why a step is not good yet, the evidence, and what a person does about it."""

    why: str
    output: tuple[str, ...] = ()
    fix: str = ""
    # Asking again would do again what the request does, and the answer is the app's own.
    is_final: bool = False
    # The time was up before it came to a result of its own.
    is_cut_off: bool = False


def verify(release: Release, through: bool = False) -> None:
    """Every step of the plan, in order.

    + through: only requests that have an address at nginx, asked there

    Raises Failure: which step, what was expected and what came.
    """
    for step in release.plan.verify.steps:
        if not through or (step.request and step.through):
            _until_good(release, step, through)


def _until_good(release: Release, step: VerifyStep, through: bool) -> None:
    began = time.monotonic()
    said, said_at = "", began
    reason: Wrong | None = None
    label = f"{step.name}, through nginx" if through else step.name
    while True:
        left = began + step.within_s - time.monotonic()
        wrong = _try(release, step, through, max(left, 1.0))
        now = time.monotonic()
        if wrong is None:
            release.log.write(f"verify {label}: good after {now - began:.0f} s")
            return
        if trouble := find_trouble(release):
            raise Failure(f"verify {label}: {trouble}")
        if reason is None or not wrong.is_cut_off:
            reason = wrong
        if wrong.is_final or now - began >= step.within_s:
            raise _failure(release, label, step, reason)
        if wrong.why != said or now - said_at >= SAID_EVERY:
            said, said_at = wrong.why, now
            release.log.write(f"verify {label}: {now - began:.0f} s of {step.within_s}: {said}")
        time.sleep(PAUSE)


def _failure(release: Release, label: str, step: VerifyStep, wrong: Wrong) -> Failure:
    lasted = "" if wrong.is_final else f" (for {step.within_s} s)"
    said = f"verify {label}: {wrong.why}{lasted}"
    masked = release.log.masked
    return Failure(masked(said), output=tuple(masked(line) for line in wrong.output), fix=wrong.fix)


def _try(release: Release, step: VerifyStep, through: bool, seconds: float) -> Wrong | None:
    if step.request:
        return _request(release, step, through, seconds)
    if step.log:
        return _line(release, step, seconds)
    return _command(release, step, seconds)


def _request(release: Release, step: VerifyStep, through: bool, seconds: float) -> Wrong | None:
    request = step.request
    assert request is not None
    if through:
        request = replace(request, url=_moved(request.url, step.through))
    end = time.monotonic() + seconds
    answer = _ask(release, request, through, seconds)
    wrong = _judged(request.method, request.url, answer, request.expect, through)
    if wrong or isinstance(answer, Wrong) or not request.then:
        return wrong
    return _follow(release, request, answer, through, max(end - time.monotonic(), 1.0))


def _follow(
    release: Release, request: Request, answer: Answer, through: bool, seconds: float
) -> Wrong | None:
    """The second request, to the address that the first one's answer names."""
    address = _named(answer, request.then)
    shown = (answer.beginning,)
    if not address:
        return Wrong(f"{request.url}: its answer names no address at {request.then}", shown)
    url = _at_same_origin(request.url, address)
    if url is None:
        return Wrong(f"{request.url}: {request.then} names an address elsewhere, {address}", shown)
    second = _ask(release, Request(url=url), through, seconds)
    return _judged("GET", url, second, request.then_expect, through)


def _at_same_origin(asked: str, address: str) -> str | None:
    """An address, perhaps relative, as a URL; None if it leads elsewhere or nowhere."""
    try:
        url = urljoin(asked, address)
        return url if origin(url) == origin(asked) else None
    except ValueError:
        return None


def _named(answer: Answer, path: str) -> str:
    try:
        value = at(json.loads(answer.body), path)
    except (ValueError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""


def _moved(url: str, site: str) -> str:
    """The same path and query at another origin."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{site.rstrip('/')}{parts.path or '/'}{query}"


def _ask(release: Release, request: Request, through: bool, seconds: float) -> Answer | Wrong:
    headers = dict(request.headers)
    if _is_json(request.body) and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    try:
        return ask(
            request.url,
            method=request.method,
            headers=headers,
            body=request.body,
            seconds=seconds,
            connect_to=LOOPBACK if through else "",
            trusted=certificates.trusted(release) if through else None,
            any_name=_answers_to_any(release),
        )
    except NoAnswer as why:
        return Wrong(f"{request.method} {request.url}: {why}", fix=_fix(str(why), through))


def _answers_to_any(release: Release) -> bool:
    """A site for every name is asked as localhost, which a certificate that was given never has."""
    return bool(release.plan.nginx and release.plan.nginx.server_names[:1] == (ANY,))


def _is_json(body: str) -> bool:
    return body.lstrip()[:1] in ("{", "[")


def _judged(
    method: str, url: str, answer: Answer | Wrong, expect: Expect, through: bool
) -> Wrong | None:
    if isinstance(answer, Wrong):
        return answer
    why = wrong(answer, expect)
    if why is None:
        return None
    shown = (f"the answer began: {answer.beginning}",) if answer.body else ("the answer was empty",)
    is_final = method != "GET" and answer.status not in NOT_YET
    return Wrong(f"{method} {url}: {why}", shown, _fix(str(answer.status), through), is_final)


def _fix(said: str, through: bool) -> str:
    """What a person does, where the answer says it."""
    if said in ("connection refused", "connection reset before an answer came"):
        if through:
            return "nginx does not listen there: systemctl status nginx"
        return (
            "nothing listens there: compare the port that the service publishes with the one that "
            "it listens on, and have it listen on 0.0.0.0 inside its container"
        )
    if not through:
        return ""
    return {
        "413": "raise nginx.max_body in the app file",
        "502": "nginx answers and the app does not: compare nginx.upstream with the port",
        "504": "raise nginx.timeout_s in the app file, for this path under nginx.paths",
    }.get(said, "")


def _line(release: Release, step: VerifyStep, seconds: float) -> Wrong | None:
    try:
        expression = re.compile(step.log)
    except re.error as error:
        raise Failure(
            f'verify {step.name}: "{step.log}" is not a regular expression: {error}'
        ) from error
    started = _started(release, step.service)
    if not started:
        return Wrong(f"{step.service} does not run")
    if is_known(release, step, started):
        return None
    options = ("--no-color", "--no-log-prefix", "--since", min(started), "--tail", str(LOG_LINES))
    outcome = ask_compose(release, "logs", *options, step.service, seconds=max(seconds, 10))
    lines = outcome.out.splitlines()
    if any(expression.search(line) for line in lines):
        remember(release, step, started)
        return None
    return Wrong(f'no line of {step.service}\'s log matches "{step.log}"', tuple(lines[-10:]))


def _started(release: Release, service: str) -> tuple[str, ...]:
    """When each container of a service was started, as Docker writes it."""
    containers = ask_compose(release, "ps", "-q", service).out.split()
    if not containers:
        return ()
    command = ("docker", "inspect", "-f", "{{.State.StartedAt}}", *containers)
    return tuple(sorted(try_run(release.log, *command, seconds=30, quiet=True).out.split()))


def _command(release: Release, step: VerifyStep, seconds: float) -> Wrong | None:
    command = words(release, "exec", "-T", step.service, *step.command)
    outcome = try_run(
        _Unwritten(release.log), *command, seconds=max(seconds, 5), env=environment(release)
    )
    if outcome.ok:
        return None
    ended = "did not end" if outcome.status is None else f"exit {outcome.status}"
    why = f"{_in_short(step.command)} in {step.service}: {ended}"
    return Wrong(why, outcome.tail, is_cut_off=outcome.status is None)


def _in_short(command: tuple[str, ...]) -> str:
    """On one line; a script's beginning is enough to know it again."""
    line = " ".join(" ".join(command).split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


class _Unwritten(Log):
    """For what is repeated until it is good: its words are in the failure, once."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def masked(self, text: str) -> str:
        return self._log.masked(text)

    def write(self, text: str) -> None:  # noqa: ARG002
        return
