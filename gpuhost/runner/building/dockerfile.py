"""Reads which images a Dockerfile is FROM, with the rules of BuildKit's parser."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpuhost.runner.building.substitution import substitute

DIRECTIVE = re.compile(r"^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
MOUNT_FROM = re.compile(r"--mount=\S*?\bfrom=([^,\s]+)")
# A word of a shell line, quotes and all.
WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
HEREDOC = re.compile(r"""^\d*<<(-?)(["']?)([^"'<\s]+)\2$""")
WITH_HEREDOCS = ("RUN", "COPY", "ADD")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Stage:
    """A build stage: everything after one FROM.

    + base: the image or stage in FROM
    + uses: images and stages that files are copied or mounted from
    """

    name: str
    base: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dockerfile:
    stages: tuple[Stage, ...]

    def images(self, target: str = "") -> tuple[str, ...]:
        """The images that a build of this target needs, without those of skipped stages.

        + target: a stage's name or number; "": the last one
        """
        if not self.stages:
            return ()
        last = len(self.stages) - 1
        start = self._stage(target, before=len(self.stages)) if target else last
        # BuildKit reports a missing target.
        queue = [last if start is None else start]
        images: dict[str, None] = {}
        seen = set()
        while queue:
            number = queue.pop()
            seen.add(number)
            stage = self.stages[number]
            for name in (stage.base, *stage.uses):
                earlier = self._stage(name, before=number)
                if earlier is None:
                    images.setdefault(name)
                elif earlier not in seen:
                    queue.append(earlier)
        return tuple(image for image in images if image != "scratch")

    def _stage(self, name: str, before: int) -> int | None:
        if name.isdigit() and int(name) < before:
            return int(name)
        named = (n for n in range(before) if self.stages[n].name.lower() == name.lower())
        return max(named, default=None) if name else None


def read(text: str, arguments: Mapping[str, str]) -> Dockerfile:
    """The stages of a Dockerfile.

    + arguments: build arguments; they set the ARGs before the first FROM
    """
    values = _predefined()
    stages: list[Stage] = []
    for line in _instructions(text):
        word, _, rest = line.partition(" ")
        word = word.upper()
        if word == "ARG" and not stages:
            values.update(_arguments(rest, values, arguments))
        elif word == "FROM":
            if stage := _from(rest, values):
                stages.append(stage)
        elif stages and (uses := _uses(word, rest)):
            before = stages.pop()
            stages.append(Stage(before.name, before.base, (*before.uses, *uses)))
    return Dockerfile(tuple(stages))


def _predefined() -> dict[str, str]:
    """The platform arguments that BuildKit sets for every FROM."""
    machine = MACHINES.get(os.uname().machine, os.uname().machine)
    return {
        f"{whose}{name}": value
        for whose in ("BUILD", "TARGET")
        for name, value in (("PLATFORM", f"linux/{machine}"), ("OS", "linux"), ("ARCH", machine))
    }


def _arguments(rest: str, values: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    result = dict(values)
    for word in _words(rest):
        name, has_default, default = word.partition("=")
        if name in given:
            result[name] = given[name]
        elif has_default:
            result[name] = substitute(default, result)
    return result


def _from(rest: str, values: Mapping[str, str]) -> Stage | None:
    words = [word for word in rest.split() if not word.startswith("--")]
    if not words:
        return None
    named = len(words) >= 3 and words[1].upper() == "AS"
    return Stage(words[2] if named else "", substitute(words[0], values))


def _uses(word: str, rest: str) -> tuple[str, ...]:
    """COPY --from=NAME and RUN --mount=…,from=NAME; BuildKit expands no variables in them."""
    if word in ("COPY", "ADD"):
        flags = [word for word in rest.split() if word.startswith("--from=")]
        return tuple(flag.removeprefix("--from=") for flag in flags)
    return tuple(MOUNT_FROM.findall(rest)) if word == "RUN" else ()


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def _instructions(text: str) -> Iterator[str]:
    """One per line: continuations joined, without comments and bodies of heredocs."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape = re.escape(_escape(lines))
    continued = re.compile(rf"(?<!{escape}){escape}[ \t]*$")
    whole, number = "", 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.lstrip().startswith("#") or not line.strip():
            continue
        whole += continued.sub("", line)
        if continued.search(line) and number < len(lines):
            continue
        joined, whole = " ".join(whole.split()), ""
        yield joined
        number = _after_heredocs(joined, lines, number)
    if whole.strip():
        yield " ".join(whole.split())


def _escape(lines: list[str]) -> str:
    """The escape character; `# escape=` is valid only among the directives at the top."""
    for line in lines:
        directive = DIRECTIVE.match(line)
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            return directive[2]
    return "\\"


def _after_heredocs(instruction: str, lines: list[str], number: int) -> int:
    """The number of the line after the heredocs of an instruction."""
    if instruction.partition(" ")[0].upper() not in WITH_HEREDOCS:
        return number
    for word in WORD.findall(instruction):
        if heredoc := HEREDOC.match(word):
            strip = heredoc[1] == "-"
            ends = (
                index
                for index in range(number, len(lines))
                if (lines[index].lstrip("\t") if strip else lines[index]) == heredoc[3]
            )
            # BuildKit reports a heredoc without an end.
            number = next(ends, number - 1) + 1
    return number
