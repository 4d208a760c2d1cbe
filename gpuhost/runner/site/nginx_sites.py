"""Reads the sites in an nginx configuration: port, server name and file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A comment, a quoted word, a delimiter, or a bare word.
TOKEN = re.compile(r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|[^\s{};"'\\])+""")
# In the output of `nginx -T`, before each file.
FILE = re.compile(r"^# configuration file (.+):$")
ANY = "_"
# Spellings of ANY in configurations.
ANYTHING = ("_", "", "~^", "~.", "~.*", "~^.*$")


@dataclass(frozen=True)
class Claim:
    """A port, a server name ("_": every other name), and the file."""

    port: str
    name: str
    file: str

    def __str__(self) -> str:
        name = "every name" if self.name == ANY else self.name
        return f"{name} on port {self.port}"


def claims(text: str, file: str = "") -> tuple[Claim, ...]:
    """Every site in a configuration file, or in the output of `nginx -T`."""
    result: list[Claim] = []
    blocks: list[_Block] = []
    statement: list[str] = []
    for token in TOKEN.findall(text):
        if token.startswith("#"):
            marker = FILE.match(token)
            file = marker[1] if marker else file
        elif token == "{":  # noqa: S105
            blocks.append(_Block(statement[:1] == ["server"], file))
            statement = []
        elif token == "}":  # noqa: S105
            if blocks:
                result += blocks.pop().claims()
            statement = []
        elif token == ";":  # noqa: S105
            if blocks:
                blocks[-1].take(statement)
            statement = []
        else:
            statement.append(token.strip("\"'"))
    return tuple(result)


def clash(
    ours: tuple[Claim, ...], others: tuple[Claim, ...], own_files: tuple[str, ...]
) -> Claim | None:
    """The first site in another file with the same name and port."""
    names = {(claim.port, claim.name) for claim in ours}
    return next(
        (
            claim
            for claim in others
            if claim.file not in own_files and (claim.port, claim.name) in names
        ),
        None,
    )


class _Block:
    def __init__(self, is_server: bool, file: str) -> None:
        self.is_server = is_server
        self.file = file
        self.ports: dict[str, bool] = {}  # port -> whether the site is its default
        self.names: list[str] = []

    def take(self, statement: list[str]) -> None:
        if statement[:1] == ["listen"] and len(statement) > 1:
            if statement[1].startswith("unix:"):
                self.is_server = False
            port = _port(statement[1])
            self.ports[port] = self.ports.get(port, False) or "default_server" in statement[2:]
        elif statement[:1] == ["server_name"]:
            self.names += statement[1:]

    def claims(self) -> Iterator[Claim]:
        if not self.is_server:
            return
        for port, is_default in (self.ports or {"80": False}).items():
            names = dict.fromkeys(self.names or [ANY])
            for name in names:
                yield Claim(port, ANY if name in ANYTHING else name.lower(), self.file)
            if is_default and not names.keys() & set(ANYTHING):
                yield Claim(port, ANY, self.file)


def _port(address: str) -> str:
    last = address.rpartition(":")[2]
    return last if last.isdigit() else "80"
