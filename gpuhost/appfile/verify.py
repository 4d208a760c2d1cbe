"""verify: what must succeed before a release is good."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gpuhost.appfile.section import Regex, Seconds, Section, Service, Text

HOST = re.compile(r"[\w.-]+")


def _check_url(url: str) -> str:
    if not _has_host(url):
        raise ValueError("the host must be a name or an IP address, http://[::1]:3000/")
    if not _has_port(url):
        raise ValueError("the port must be a number from 1 to 65535")
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return bool(IPv6Address(host) if "[" in parts.netloc else HOST.fullmatch(host))
    except ValueError:
        return False


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


Url = Annotated[
    str,
    Field(pattern=r"^https?://[^\s\x00-\x1f\x7f]+$", title="an address, http://…"),
    AfterValidator(_check_url),
]
HeaderName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", title="a header's name")
]
HeaderValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", title="text on one line")]


class Expect(Section):
    """Expected properties of an answer."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    """HTTP status code."""
    contains: str = ""
    """Text that the body contains."""
    content_type: str = ""
    """Prefix of Content-Type, "audio/"."""
    json_values: Annotated[dict[str, Text], Field(alias="json")] = {}
    """Expected values in a JSON body, by dotted path; "*": anything but null."""
    least_bytes: Annotated[int, Field(ge=0)] = 0
    """Minimum length of the body."""


VariantName = Literal["with_gpu", "without_gpu"]


class Health(Section):
    """A GET request that is answered as expected."""

    url: Url
    """Address from the host, http://127.0.0.1:3000/api/health."""
    expect: Expect = Expect()
    """Expected answer."""
    only: VariantName | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Time limit, after the containers are healthy."""


class LogLine(Section):
    """A line in a service's log."""

    service: Service
    """The service whose log is read."""
    matches: Regex
    """Regular expression for one line."""
    only: VariantName | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Time limit."""


class Command(Section):
    """A command in a running service that exits with 0."""

    service: Service
    """The service to run it in."""
    run: Annotated[tuple[str, ...], Field(min_length=1)]
    """The command and its arguments."""
    only: VariantName | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Time limit."""


class Request(Section):
    """A request that uses the app, and optionally a second one for the result of the first."""

    method: Literal["GET", "POST", "PUT", "DELETE"] = "POST"
    """HTTP method."""
    url: Url
    """Address from the host."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Request headers."""
    body: str = ""
    """Request body; JSON gets its Content-Type automatically."""
    expect: Expect = Expect()
    """Expected answer."""
    then: str = ""
    """Dotted path in the JSON answer to a URL to fetch next, "audioUrl"."""
    then_expect: Expect = Expect()
    """Expected answer of that second request."""
    only: VariantName | None = None
    """Only in this variant."""
    within_s: Seconds = 120
    """Time limit."""


class Step(Section):
    """One step of exactly one kind."""

    health: Health | None = None
    log: LogLine | None = None
    command: Command | None = None
    request: Request | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if (
            sum(kind is not None for kind in (self.health, self.log, self.command, self.request))
            != 1
        ):
            raise ValueError("give exactly one of health, log, command and request")
        return self


class Verify(Section):
    """How long the app may take to start, and the steps that verify it."""

    start_s: Seconds = 300
    """Time limit until the containers are healthy."""
    loading: tuple[Regex, ...] = ()
    """Log lines (regular expressions) of an app that is loading; shown while waiting."""
    fatal: tuple[Regex, ...] = ()
    """Lines (regular expressions) of an app that cannot start, in its log or in the output of a
    command of `steps`: the release fails at once."""
    steps: tuple[Step, ...] = ()
    """Steps, in this order."""
