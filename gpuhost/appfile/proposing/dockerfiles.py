"""What a Dockerfile says of the image: its bases, its user and its health check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gpuhost.appfile.compose.interpolation import fill_in

INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+[Aa][Ss]\s+(\S+))?")


@dataclass(frozen=True)
class Found:
    """A text of a file. where: "Dockerfile:12"."""

    text: str
    where: str


@dataclass
class Stage:
    base: str = ""
    user: Found | None = None
    health: Found | None = None


@dataclass(frozen=True)
class Dockerfile:
    """bases: of all stages, without stages that are bases of others.

    + user, health: of the stage that is built
    """

    bases: tuple[Found, ...] = ()
    user: Found | None = None
    health: Found | None = None
    text: str = field(default="", repr=False)


def parse(
    text: str, path: str, arguments: Mapping[str, str], target: str | None = None
) -> Dockerfile:
    """+ arguments: of the build; they win over the defaults of ARG."""
    known: dict[str, str] = {}
    bases: list[Found] = []
    stages: dict[str, Stage] = {}
    current = Stage()
    for line, word, rest in _instructions(text):
        if word == "ARG":
            name, sign, default = rest.strip().partition("=")
            value = arguments.get(name, default.strip("\"'") if sign else None)
            if value is not None:
                known.setdefault(name, value)
        elif word == "FROM" and (match := FROM.match(rest)):
            image = fill_in(match[1].strip("\"'"), known.get).text
            earlier = stages.get(image.lower())
            if earlier is None:
                bases.append(Found(image, f"{path}:{line}"))
            current = Stage(image, *((earlier.user, earlier.health) if earlier else ()))
            stages[(match[2] or f"#{len(stages)}").lower()] = current
        elif word == "USER":
            current.user = Found(fill_in(rest.strip(), known.get).text, f"{path}:{line}")
        elif word == "HEALTHCHECK":
            is_none = rest.strip().upper() == "NONE"
            current.health = None if is_none else Found(rest, f"{path}:{line}")
    built = stages.get((target or "").lower(), current)
    return Dockerfile(tuple(bases), built.user, built.health, text)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, word in capitals, and the rest with continued lines."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        start, whole = at, lines[at]
        at += 1
        if whole.lstrip().startswith("#"):
            continue
        pieces = [whole]
        while pieces[-1].rstrip().endswith("\\") and at < len(lines):
            if lines[at] and not lines[at].lstrip().startswith("#"):
                pieces[-1] = pieces[-1].rstrip()[:-1]
                pieces.append(lines[at])
            at += 1
        if match := INSTRUCTION.fullmatch(" ".join(pieces)):
            yield start + 1, match[1].upper(), match[2]
