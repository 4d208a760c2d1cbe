""".env files, as Compose reads them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping

from gpuhost.appfile.compose.interpolation import Lookup, OnHost, fill_in
from gpuhost.appfile.compose.project_files import Unreadable

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\[\]-]*)\s*[=:]\s?(.*)", re.DOTALL)
COMMENT = re.compile(r"\s#")
# Characters of all values: variables in them can double with every line.
LARGEST = 1 << 22
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Values = Mapping[str, "str | OnHost"]


def parse(text: str, lookup: Lookup) -> dict[str, str | OnHost]:
    """Names and values. A value may refer to variables before it.

    + lookup: of variables that are set elsewhere

    Raises Unreadable: the values are too large.
    """
    values: dict[str, str | OnHost] = {}

    def known(name: str) -> str | OnHost | None:
        elsewhere = lookup(name)
        return values.get(name) if elsewhere is None else elsewhere

    lines = deque(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
    length = 0
    while lines:
        line = lines.popleft()
        match = None if line.lstrip().startswith("#") else LINE.fullmatch(line)
        if match is None:
            continue
        name, written = match[1], match[2].strip()
        quote = written[:1] if written[:1] in ("'", '"') else ""
        if quote:
            written = "\n".join(_until_closed(written, quote, lines))
        values[name] = value = _value(written, quote, known)
        length += len(value) if isinstance(value, str) else 0
        if length > LARGEST:
            raise Unreadable(f"has values of more than {LARGEST} characters")
    return values


def _until_closed(written: str, quote: str, lines: deque[str]) -> Iterator[str]:
    """The lines of a quoted value; each is looked at once."""
    closing = re.compile(rf"(?:[^{quote}\\]|\\.)*{quote}")
    yield written
    is_closed = closing.match(written, 1)
    while lines and not is_closed:
        line = lines.popleft()
        yield line
        is_closed = closing.match(line)


def _quoted(quote: str) -> str:
    return rf"{quote}((?:[^{quote}\\]|\\.)*){quote}"


def _value(written: str, quote: str, lookup: Lookup) -> str | OnHost:
    match = re.match(_quoted(quote), written, re.DOTALL) if quote else None
    if quote and match is None:
        # Compose refuses an open quote, on the host.
        return written
    if match is None:
        comment = COMMENT.search(written)
        text = written[: comment.start()].rstrip() if comment else written
        text = "" if written.startswith("#") else text
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

    filled = fill_in(text, noting)
    if filled.is_too_long:
        raise Unreadable("has variables that become too large")
    return OnHost.SET if is_open else filled.text


def _unescaped(match: re.Match[str]) -> str:
    if match[1] == "$":
        return "$$"
    return ESCAPES.get(match[1], match[1] if match[1] in '"\\' else match[0])
