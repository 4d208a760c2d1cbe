"""The types of settings, each with its description for messages and the reference page."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

# The type of pydantic's error for a URL that is valid except for its login.
LOGIN_IN_URL = "login_in_url"


def _is_proxy_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s'\"<>]+", value):
        raise ValueError("must be a URL beginning with http:// or https://")
    return value.rstrip("/")


def _is_http_url(value: str) -> str:
    # These URLs are shown in findings, plans and argument lists, and stored in readable files.
    if re.match(r"https?://[^/?#]*@", value):
        raise PydanticCustomError(LOGIN_IN_URL, "must be a URL without a user name or password")
    return _is_proxy_url(value)


def _is_absolute_path(value: str) -> str:
    if (
        not value.isprintable()
        or not value.startswith("/")
        or value == "/"
        or "/../" in f"{value}/"
    ):
        raise ValueError("must be an absolute path, without '..' or control characters")
    return value


def is_plain_path(value: str) -> str:
    # /proc/swaps and fstab escape spaces, and name a file by its canonical path.
    if any(character.isspace() or character == "\\" for character in value):
        raise ValueError("must be a path without spaces or backslashes")
    if value != posixpath.normpath(value) or value.startswith("//"):
        raise ValueError(f"must be written as {posixpath.normpath('/' + value.lstrip('/'))}")
    return value


def _is_below(value: str) -> str:
    if posixpath.normpath(value) != value or ".." in value.split("/"):
        raise ValueError("must be a path below its directory, without '..'")
    return value


def _is_firewall_rule(value: str) -> str:
    from gpuhost.domain.firewall.rule import FirewallRule

    FirewallRule.parse(value)
    return value


def _is_network(value: str) -> str:
    network, _, size = value.partition("#")
    parsed = ipaddress.ip_network(network)
    if size and not parsed.prefixlen <= int(size) <= parsed.max_prefixlen:
        raise ValueError(f"a pool of /{size} networks does not fit into {network}")
    return value


def _is_proxy_exception(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9*.:/_\[\]-]+", value):
        raise ValueError(
            "must be a host, a domain or a network, such as .example.com or 10.0.0.0/8"
        )
    return value


def _is_day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError('must be a day, such as "2026-12-31"') from None


@dataclass(frozen=True)
class Kind:
    """The description of a narrower type than `str` in error messages and on the reference page."""

    words: str


Url = Annotated[str, AfterValidator(_is_http_url), Kind("a URL")]
# The only URL that may hold a login: it is stored in files that only root can read.
ProxyUrl = Annotated[
    str, AfterValidator(_is_proxy_url), Kind("a URL, optionally with user and password")
]
ProxyException = Annotated[
    str,
    AfterValidator(_is_proxy_exception),
    Kind('a host, domain or network, such as "10.0.0.0/8"'),
]
HostPath = Annotated[str, AfterValidator(_is_absolute_path), Kind("an absolute path")]
# Written to systemd units: no quoting, no `%`.
UnitPath = Annotated[
    str,
    AfterValidator(_is_absolute_path),
    StringConstraints(pattern=r"^[A-Za-z0-9_./@+-]+$"),
    AfterValidator(is_plain_path),
    Kind("an absolute path of letters, digits and ./_@+-"),
]
RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$"),
    AfterValidator(_is_below),
    Kind('a path in a directory, such as "inventories/production.py"'),
]
Calendar = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9*][A-Za-z0-9*,.:/~ -]*$"),
    Kind('a time of systemd\'s calendar, such as "04:00" or "Mon..Fri 04:00"'),
]
Fingerprint = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-F]{40}$"), Kind("40 hexadecimal digits, upper case")
]
CudaVersion = Annotated[
    str,
    StringConstraints(pattern=r"^(1[1-9]|[2-9]\d)\.\d{1,2}$"),
    Kind('a CUDA version in quotes, such as "12.1"'),
]
DriverBranch = Annotated[
    str, StringConstraints(pattern=r"^\d{3}$"), Kind('a driver branch in quotes, such as "580"')
]
# Cards as nvidia-smi numbers them; profiles as `nvidia-smi mig -lgip` lists them.
MigCard = Annotated[str, StringConstraints(pattern=r"^(all|\d{1,3})$")]
MigProfile = Annotated[str, StringConstraints(pattern=r"^[1-9]g\.[1-9]\d{0,3}gb([+-][a-z.]+)*$")]
MigLayouts = Annotated[
    dict[MigCard, dict[MigProfile, Annotated[int, Field(ge=1, le=7)]]],
    Kind('profiles and how many, by card, such as {"0": {"3g.40gb": 2}}'),
]
ToolkitVersion = Annotated[
    str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$"), Kind('a version, such as "1.20.0"')
]
# The first character cannot be a hyphen, which would make it an option.
ImageName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:@-]*$"),
    Kind('an image, such as "ubuntu:24.04"'),
]
LogSize = Annotated[
    str, StringConstraints(pattern=r"^\d+[kmg]$"), Kind('a size, such as "10m" or "1g"')
]
Rule = Annotated[str, AfterValidator(_is_firewall_rule), Kind('a rule, such as "80/tcp"')]
AddressPool = Annotated[
    str, AfterValidator(_is_network), Kind('a pool, such as "10.200.0.0/16#24"')
]
AppName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$"), Kind('an app, such as "tts"')
]
BuildArgument = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), Kind("a build argument's name")
]
ChinaMirror = Literal["aliyun", "tuna", "ustc", "tencent", "huawei"]


class Ignored(BaseModel):
    """A known difference that is accepted.

    + id: of a finding, "swap.size"; with *, "app.tts.*", any that could be read
    + until: the last day on which it is accepted, "2026-12-31"
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_*-]+(\.[a-z0-9_*-]+)*$")]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    until: Annotated[str, AfterValidator(_is_day)]


Acceptance = Annotated[
    Ignored,
    Kind('{"id": "swap.size", "reason": "the new disk comes", "until": "2026-12-31"}'),
]
