"""The one-line format: `deb [options] uri suite component…` (sources.list(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from gpuhost.domain.apt.entry import TRUST, Entry

OFF = "# switched off by gpuhost, defined elsewhere: "

_LINE = re.compile(
    r"(?P<indent>\s*)(?P<type>deb|deb-src)(?P<before_options>\s+)"
    r"(?:(?P<options>\[[^\]]*\])(?P<gap>\s*))?"
    # cdrom:[Debian GNU/Linux 12]/ is one word.
    r"(?P<uri>[^\s#\[](?:\[[^\]]*\]|[^\s#\[])*)(?P<before_suite>\s+)(?P<suite>[^\s#]+)"
    r"(?P<components>(?:\s+[^\s#]+)*)(?P<tail>\s*(?:#.*)?)",
    re.DOTALL,
)


_PARTS = tuple(_LINE.groupindex)


@dataclass(frozen=True)
class Line:
    """One line of a *.list file, without its newline."""

    text: str

    @cached_property
    def entry(self) -> Entry | None:
        match = _LINE.fullmatch(self.text)
        if match is None:
            return None
        options = _options(match["options"] or "")
        return Entry(
            types=(match["type"],),
            uris=(match["uri"],),
            suites=(match["suite"],),
            components=tuple(match["components"].split()),
            architectures=tuple(filter(None, options.get("arch", "").split(","))),
            signed_by=options.get("signed-by"),
            trust=tuple((name, options[name].lower()) for name in TRUST if name in options),
        )

    @property
    def separator(self) -> str:
        return "\n"

    def with_types(self, types: tuple[str, ...]) -> Line:
        return self._with(type=types[0])

    def with_uris(self, uris: tuple[str, ...]) -> Line:
        return self._with(uri=uris[0])

    def with_suites(self, suites: tuple[str, ...]) -> Line:
        return self._with(suite=suites[0])

    def with_components(self, components: tuple[str, ...]) -> Line:
        return self._with(components="".join(f" {name}" for name in components))

    def with_architectures(self, architectures: tuple[str, ...]) -> Line:
        return self._with_option("arch", ",".join(architectures))

    def with_signed_by(self, keyring: str) -> Line:
        return self._with_option("signed-by", keyring)

    def switched_off(self) -> Line:
        return Line(OFF + self.text)

    def _with_option(self, name: str, value: str) -> Line:
        match = _LINE.fullmatch(self.text)
        inside = (match["options"] or "[]")[1:-1] if match else ""
        others = [word for word in inside.split() if not word.lower().startswith(f"{name}=")]
        return self._with(options=f"[{' '.join([*others, f'{name}={value}'])}]", gap=" ")

    def _with(self, **parts: str) -> Line:
        match = _LINE.fullmatch(self.text)
        if match is None:
            return self
        return Line("".join(parts.get(name, match[name] or "") for name in _PARTS))


def lines(content: str) -> list[Line]:
    """The file's lines; joined with newlines they are the file again."""
    return [Line(text) for text in content.split("\n")]


def _options(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.strip("[]").split())
    return {name.lower().rstrip("+"): value for name, _, value in pairs if value}
