""".env files, as Compose reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpuhost.appfile.compose.interpolation import Lookup, OnHost, fill_in

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\[\]-]*)\s*[=:]\s?(.*)", re.DOTALL)
COMMENT = re.compile(r"\s+#.*$")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Values = Mapping[str, "str | OnHost"]


def parse(text: str, lookup: Lookup) -> dict[str, str | OnHost]:
    """Names and values. A value may refer to variables before it.

    + lookup: of variables that are set elsewhere
    """
    values: dict[str, str | OnHost] = {}

    def known(name: str) -> str | OnHost | None:
        elsewhere = lookup(name)
        return values.get(name) if elsewhere is None else elsewhere

    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    while lines:
        line = lines.pop(0)
        match = None if line.lstrip().startswith("#") else LINE.fullmatch(line)
        if match is None:
            continue
        name, written = match[1], match[2].strip()
        quote = written[:1] if written[:1] in ("'", '"') else ""
        while quote and lines and not _is_closed(written, quote):
            written += "\n" + lines.pop(0)
        values[name] = _value(written, quote, known)
    return values


def _is_closed(written: str, quote: str) -> bool:
    return re.match(_quoted(quote), written, re.DOTALL) is not None


def _quoted(quote: str) -> str:
    return rf"{quote}((?:[^{quote}\\]|\\.)*){quote}"


def _value(written: str, quote: str, lookup: Lookup) -> str | OnHost:
    match = re.match(_quoted(quote), written, re.DOTALL) if quote else None
    if quote and match is None:
        # Compose refuses an open quote, on the host.
        return written
    if match is None:
        text = "" if written.startswith("#") else COMMENT.sub("", written)
    elif quote == "'":
        return match[1].replace("\\'", "'")
    else:
        text = re.sub(r"\\(.)", _unescaped, match[1], flags=re.DOTALL)
    is_open = False

    def noting(name: str) -> str | OnHost | None:
        nonlocal is_open
        value = lookup(name)
        is_open = is_open or isinstance(value, OnHost)
        return value

    filled = fill_in(text, noting).text
    return OnHost.SET if is_open else filled


def _unescaped(match: re.Match[str]) -> str:
    if match[1] == "$":
        return "$$"
    return ESCAPES.get(match[1], match[1] if match[1] in '"\\' else match[0])
