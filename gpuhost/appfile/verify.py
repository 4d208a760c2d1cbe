"""verify: what has to be seen before a release counts as good."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gpuhost.appfile.section import Regex, Seconds, Section, Service, Text

HOST = re.compile(r"[\w.-]+")


def _can_be_asked(url: str) -> str:
    if not _has_host(url):
        raise ValueError("the host is a name or an IP address, http://[::1]:3000/")
    if not _has_port(url):
        raise ValueError("the port is a number from 1 to 65535")
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
    Field(pattern=r"^https?://[^\s]+$", title="an address, http://…"),
    AfterValidator(_can_be_asked),
]
HeaderName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", title="a header's name")
]
HeaderValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", title="text on one line")]


class Expect(Section):
    """What an answer has to be like."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    """HTTP status."""
    contains: str = ""
    """Text in the body."""
    content_type: str = ""
    """How Content-Type begins, "audio/"."""
    json_values: Annotated[dict[str, Text], Field(alias="json")] = {}
    """Dotted path in a JSON body to the text it has to be; "*": anything but null."""
    least_bytes: Annotated[int, Field(ge=0)] = 0
    """The least length of the body."""


Variants = Literal["with_gpu", "without_gpu"]


class Health(Section):
    """A GET that answers."""

    url: Url
    """As seen on the host, http://127.0.0.1:3000/api/health."""
    expect: Expect = Expect()
    """What the answer has to be like."""
    only: Variants | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Deadline, once the containers are healthy."""


class Line(Section):
    """A line in a service's log."""

    service: Service
    """Whose log."""
    matches: Regex
    """Regular expression."""
    only: Variants | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Deadline."""


class Command(Section):
    """A command inside a running service that exits with 0."""

    service: Service
    """Where it runs."""
    run: Annotated[tuple[str, ...], Field(min_length=1)]
    """The command and its arguments."""
    only: Variants | None = None
    """Only in this variant."""
    within_s: Seconds = 60
    """Deadline."""


class Request(Section):
    """A request that does what the app is for, and perhaps a second one for what the first made."""

    method: Literal["GET", "POST", "PUT", "DELETE"] = "POST"
    """HTTP method."""
    url: Url
    """As seen on the host."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Request headers."""
    body: str = ""
    """Request body; a JSON text gets its Content-Type by itself."""
    expect: Expect = Expect()
    """What the answer has to be like."""
    then: str = ""
    """Dotted path in the JSON answer that names an address to fetch, "audioUrl"."""
    then_expect: Expect = Expect()
    """What that has to be like."""
    only: Variants | None = None
    """Only in this variant."""
    within_s: Seconds = 120
    """Deadline."""


class Step(Section):
    """One step, exactly one kind."""

    health: Health | None = None
    log: Line | None = None
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
    """When the app is up, and how that is proven."""

    start_s: Seconds = 300
    """The longest the app may take until its containers are healthy."""
    loading: tuple[Regex, ...] = ()
    """Log lines (regular expressions) of an app that is still loading; shown while waiting."""
    fatal: tuple[Regex, ...] = ()
    """Log lines (regular expressions) of an app that will not come up: it fails at once."""
    steps: tuple[Step, ...] = ()
    """In this order."""
