"""A verify step that sends an HTTP request and checks the answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from gpuhost.runner.lib import abort
from gpuhost.runner.plan import Expect, HttpRequest, VerifyStep
from gpuhost.runner.site import certificates
from gpuhost.runner.site.answers import SHOWN, at, beginning, mismatch
from gpuhost.runner.site.http import Answer, NoAnswer, ask, origin
from gpuhost.runner.site.nginx_sites import ANY
from gpuhost.runner.state.release import Release

# Characters of an address in an answer: no server accepts a longer one.
LONGEST_ADDRESS = 8192
LOOPBACK = "127.0.0.1"
# Overload, or a gateway without its app: an app that still starts answers like this.
NOT_YET = (429, 502, 503, 504)


@dataclass(frozen=True)
class Problem:
    """Why a step does not hold yet.

    + output: the evidence
    + fix: what a person does about it
    + is_final: do not repeat the step: the app itself answered, and the request may change data
    + is_error: the app itself answered, with the status of an error
    + is_timeout: the step was stopped before it had a result
    """

    reason: str
    output: tuple[str, ...] = ()
    fix: str = ""
    is_final: bool = False
    is_timeout: bool = False
    is_error: bool = False


def verify_request(
    release: Release, step: VerifyStep, through: bool, seconds: float
) -> Problem | None:
    """+ through: send the request to nginx instead of the app"""
    request = step.request
    assert request is not None
    if through:
        request = replace(request, url=_at_site(request.url, step.through))
    end = time.monotonic() + seconds
    answer = _send(release, request, through, seconds)
    problem = _check(release, request.method, request.url, answer, request.expect, through)
    if problem or isinstance(answer, Problem) or not request.then:
        return problem
    return _verify_then(release, request, answer, through, max(end - time.monotonic(), 1.0))


def _verify_then(
    release: Release, request: HttpRequest, answer: Answer, through: bool, seconds: float
) -> Problem | None:
    """The second request, to the address in the first answer."""
    address = _address(answer, request.then)
    shown = (beginning(answer, release.log),)
    if len(address) > LONGEST_ADDRESS:
        return Problem(f"{request.url}: the address at {request.then} is too long", shown)
    if not address:
        return Problem(f"{request.url}: the answer has no address at {request.then}", shown)
    url = _same_origin(request.url, address)
    if url is None:
        other = release.log.beginning(address, SHOWN)
        reason = f"{request.url}: the address at {request.then} is on another server, {other}"
        return Problem(reason, shown)
    second = _send(release, HttpRequest(url=url), through, seconds)
    return _check(release, "GET", url, second, request.then_expect, through)


def _same_origin(url: str, address: str) -> str | None:
    """An address, perhaps relative, as a URL; None if it is invalid or of another origin."""
    try:
        target = urljoin(url, address)
        return target if origin(target) == origin(url) else None
    except ValueError:
        return None


def _address(answer: Answer, path: str) -> str:
    try:
        value = at(json.loads(answer.body), path)
    except (ValueError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""


def _at_site(url: str, site: str) -> str:
    """The same path and query at another origin."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{site.rstrip('/')}{parts.path or '/'}{query}"


def _send(
    release: Release, request: HttpRequest, through: bool, seconds: float
) -> Answer | Problem:
    headers = dict(request.headers)
    if _is_json(request.body) and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    try:
        trusted = certificates.trusted(release) if through else None
        return abort.in_background(
            lambda: ask(
                request.url,
                method=request.method,
                headers=headers,
                body=request.body,
                seconds=seconds,
                connect_to=LOOPBACK if through else "",
                trusted=trusted,
                any_name=_has_any_name(release),
            )
        )
    except NoAnswer as error:
        said = release.log.beginning(str(error), SHOWN)
        return Problem(f"{request.method} {request.url}: {said}", fix=_fix(str(error), through))


def _has_any_name(release: Release) -> bool:
    """A site for every name is requested as localhost, a name that its certificate may lack."""
    return bool(release.plan.nginx and release.plan.nginx.server_names[:1] == (ANY,))


def _is_json(body: str) -> bool:
    return body.lstrip()[:1] in ("{", "[")


def _check(
    release: Release,
    method: str,
    url: str,
    answer: Answer | Problem,
    expect: Expect,
    through: bool,
) -> Problem | None:
    if isinstance(answer, Problem):
        return answer
    reason = mismatch(answer, expect, release.log)
    if reason is None:
        return None
    begins = f"the answer begins: {beginning(answer, release.log)}"
    shown = begins if answer.body else "the answer is empty"
    is_by_app = answer.status not in NOT_YET
    return Problem(
        f"{method} {url}: {reason}",
        (shown,),
        _fix(str(answer.status), through),
        is_final=is_by_app and method != "GET",
        is_error=is_by_app and answer.status >= 400 and answer.status != expect.status,
    )


def _fix(answer: str, through: bool) -> str:
    if answer in ("connection refused", "connection reset before an answer came"):
        if through:
            return "nginx does not listen on this port: run systemctl status nginx"
        return (
            "nothing listens on this port: publish the port that the service listens on, and make "
            "the service listen on 0.0.0.0 inside its container"
        )
    if not through:
        return ""
    return {
        "413": "raise nginx.max_body in the app file",
        "502": "set nginx.upstream in the app file to the port of the app: nginx cannot reach it",
        "504": "raise nginx.timeout_s in the app file, for this path under nginx.paths",
    }.get(answer, "")
