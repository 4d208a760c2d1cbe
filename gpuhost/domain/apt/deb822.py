"""The deb822 format: stanzas of `Field: value` (sources.list(5), "DEB822-STYLE FORMAT")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gpuhost.domain.apt.entry import TRUST, Entry

_FIELD = re.compile(r"(?P<name>[!-9;-~]+)\s*:(?P<gap>[ \t]*)(?P<value>.*?)(?P<end>\r?)", re.DOTALL)
# apt's StringToBool: everything it takes for "no".
_NO = {"no", "false", "without", "off", "disable", "0"}


@dataclass(frozen=True)
class Field:
    """A field of a stanza. `first` and `last` are its lines; comments may be between them."""

    name: str
    gap: str
    value: str
    end: str
    first: int
    last: int


@dataclass(frozen=True)
class Stanza:
    """The lines between two empty ones."""

    text: str

    @cached_property
    def entry(self) -> Entry | None:
        fields = _fields(self.text)
        if _word(fields, "enabled").lower() in _NO:
            return None
        entry = Entry(
            types=_words(fields, "types"),
            uris=_words(fields, "uris"),
            suites=_words(fields, "suites"),
            components=_words(fields, "components"),
            architectures=_words(fields, "architectures"),
            signed_by=_word(fields, "signed-by") or None,
            trust=tuple((n, _word(fields, n).lower()) for n in TRUST if _word(fields, n)),
        )
        return entry if entry.types and entry.uris and entry.suites else None

    @property
    def separator(self) -> str:
        return "\n\r\n" if "\r" in self.text else "\n\n"

    def with_types(self, types: tuple[str, ...]) -> Stanza:
        return self._with("Types", " ".join(types))

    def with_uris(self, uris: tuple[str, ...]) -> Stanza:
        return self._with("URIs", " ".join(uris))

    def with_suites(self, suites: tuple[str, ...]) -> Stanza:
        return self._with("Suites", " ".join(suites))

    def with_components(self, components: tuple[str, ...]) -> Stanza:
        return self._with("Components", " ".join(components))

    def with_architectures(self, architectures: tuple[str, ...]) -> Stanza:
        return self._with("Architectures", " ".join(architectures))

    def with_signed_by(self, keyring: str) -> Stanza:
        return self._with("Signed-By", keyring)

    def switched_off(self) -> Stanza:
        return self._with("Enabled", "no")

    def _with(self, name: str, value: str) -> Stanza:
        lines = self.text.split("\n")
        field = _fields(self.text).get(name.lower())
        if field is None:
            end = "\r" if lines[-1].endswith("\r") else ""
            return Stanza("\n".join([*lines, f"{name}: {value}{end}"]))
        comments = [line for line in lines[field.first : field.last] if line.startswith("#")]
        lines[field.first : field.last] = [
            f"{field.name}:{field.gap or ' '}{value}{field.end}",
            *comments,
        ]
        return Stanza("\n".join(lines))


def stanzas(content: str) -> list[Stanza]:
    """The file's stanzas and the empty lines between them; joined with newlines, the file again."""
    return [Stanza("\n".join(group)) for group in _groups(content.split("\n"))]


def _groups(lines: list[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for line in lines:
        if line.rstrip("\r"):
            group.append(line)
            continue
        if group:
            yield group
        yield [line]
        group = []
    if group:
        yield group


def _fields(text: str) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    current: str | None = None
    for number, line in enumerate(text.split("\n")):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if current is not None:
                fields[current] = _continued(fields[current], line, number)
            continue
        match = _FIELD.fullmatch(line)
        current = match["name"].lower() if match else None
        if match and current:
            fields[current] = Field(
                match["name"], match["gap"], match["value"], match["end"], number, number + 1
            )
    return fields


def _continued(field: Field, line: str, number: int) -> Field:
    value = f"{field.value}\n{line.strip()}"
    return Field(field.name, field.gap, value, field.end, field.first, number + 1)


def _words(fields: dict[str, Field], name: str) -> tuple[str, ...]:
    return tuple(fields[name].value.split()) if name in fields else ()


def _word(fields: dict[str, Field], name: str) -> str:
    return fields[name].value.strip() if name in fields else ""
