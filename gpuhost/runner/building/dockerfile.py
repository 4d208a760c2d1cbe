"""Reads which images a Dockerfile is FROM, with the rules of BuildKit's parser."""

from __future__ import annotations

import os
import re
import shlex
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpuhost.runner.building.substitution import TooLarge, substitute

DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
# A word of a shell line, quotes and all.
WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
HEREDOC = re.compile(r"""^\d*<<(-?)(["']?)([^"'<\s]+)\2$""")
# Of a stage.
NUMBER = re.compile(r"[0-9]{1,6}")
WITH_HEREDOCS = ("RUN", "COPY", "ADD")
# Characters of the file, and of all values of ARG and FROM.
LARGEST = 256 << 10
# Of a FROM; and of an ARG, with its continuations, that is split as by a shell.
LONGEST_LINE = 8 << 10
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
        numbers = self._numbers()
        start = _earlier(numbers, target, before=len(self.stages)) if target else last
        # BuildKit reports a missing target.
        queue = [last if start is None else start]
        images: dict[str, None] = {}
        seen = set(queue)
        while queue:
            number = queue.pop()
            stage = self.stages[number]
            for name in (stage.base, *stage.uses):
                earlier = _earlier(numbers, name, before=number)
                if earlier is None:
                    images.setdefault(name)
                elif earlier not in seen:
                    seen.add(earlier)
                    queue.append(earlier)
        return tuple(image for image in images if image != "scratch")

    def _numbers(self) -> dict[str, list[int]]:
        """Name, in lower case, to the stages that have it."""
        numbers: dict[str, list[int]] = {}
        for number, stage in enumerate(self.stages):
            if stage.name:
                numbers.setdefault(stage.name.lower(), []).append(number)
        return numbers


def _earlier(numbers: Mapping[str, Sequence[int]], name: str, before: int) -> int | None:
    """The last stage of that name or number."""
    if NUMBER.fullmatch(name) and int(name) < before:
        return int(name)
    named = numbers.get(name.lower(), ())
    place = bisect_left(named, before)
    return named[place - 1] if place else None


def read(text: str, arguments: Mapping[str, str]) -> Dockerfile:
    """The stages of a Dockerfile, in a time and a memory that grow with its size.

    + arguments: build arguments; they set the ARGs before the first FROM

    Raises TooLarge.
    """
    if len(text) > LARGEST:
        raise TooLarge(f"has more than {LARGEST} characters")
    values = _predefined()
    stages: list[_OpenStage] = []
    left = LARGEST
    for line in _instructions(text):
        word, _, rest = line.partition(" ")
        word = word.upper()
        if word == "FROM" and len(rest) > LONGEST_LINE:
            raise TooLarge(f"has a FROM of more than {LONGEST_LINE} characters")
        if word == "ARG" and not stages:
            left -= _set_arguments(rest, values, arguments, left)
        elif word == "FROM":
            if stage := _from(rest, values, left):
                stages.append(stage)
                left -= len(stage.base)
        elif stages:
            stages[-1].uses.update(dict.fromkeys(_uses(word, rest)))
    return Dockerfile(tuple(Stage(one.name, one.base, tuple(one.uses)) for one in stages))


@dataclass
class _OpenStage:
    name: str
    base: str
    uses: dict[str, None] = field(default_factory=dict)


def _predefined() -> dict[str, str]:
    """The platform arguments that BuildKit sets for every FROM."""
    machine = MACHINES.get(os.uname().machine, os.uname().machine)
    return {
        f"{whose}{name}": value
        for whose in ("BUILD", "TARGET")
        for name, value in (("PLATFORM", f"linux/{machine}"), ("OS", "linux"), ("ARCH", machine))
    }


def _set_arguments(
    rest: str, values: dict[str, str], given: Mapping[str, str], largest: int
) -> int:
    """Set the arguments of an ARG. Returns the length of their values. Raises TooLarge."""
    length = 0
    for word in _words(rest):
        name, has_default, default = word.partition("=")
        if name in given:
            values[name] = given[name]
        elif has_default:
            values[name] = substitute(default, values, largest - length)
            length += len(values[name])
    return length


def _from(rest: str, values: Mapping[str, str], largest: int) -> _OpenStage | None:
    """Raises TooLarge."""
    words = [word for word in rest.split() if not word.startswith("--")]
    if not words:
        return None
    named = len(words) >= 3 and words[1].upper() == "AS"
    return _OpenStage(words[2] if named else "", substitute(words[0], values, largest))


def _uses(word: str, rest: str) -> Iterator[str]:
    """COPY --from=NAME and RUN --mount=…,from=NAME; BuildKit expands no variables in them."""
    flag = {"COPY": "--from=", "ADD": "--from=", "RUN": "--mount="}.get(word)
    for each in rest.split() if flag else ():
        if flag == "--from=" and each.startswith(flag):
            yield each.removeprefix(flag)
        elif flag == "--mount=" and each.startswith(flag):
            options = (option.strip("\"'") for option in each.removeprefix(flag).split(","))
            yield from (option[5:] for option in options if option[:5].lower() == "from=")


def _words(rest: str) -> list[str]:
    # shlex takes a time that grows with the square of the length.
    if len(rest) > LONGEST_LINE:
        return rest.split()
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def _instructions(text: str) -> Iterator[str]:
    """One per line: continuations joined, without comments and bodies of heredocs."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape = re.escape(_escape(lines))
    continued = re.compile(rf"(?<!{escape}){escape}[ \t]*$")
    whole, number, are_closed = "", 0, True
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
        if are_closed:
            number, are_closed = _after_heredocs(joined, lines, number)
    if whole.strip():
        yield " ".join(whole.split())


def _escape(lines: list[str]) -> str:
    """The escape character; `# escape=` is valid only among the directives at the top."""
    for line in lines:
        directive = DIRECTIVE.fullmatch(line.rstrip())
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            return directive[2]
    return "\\"


def _after_heredocs(instruction: str, lines: list[str], number: int) -> tuple[int, bool]:
    """The number of the line after the heredocs of an instruction, and whether all have an end."""
    if instruction.partition(" ")[0].upper() not in WITH_HEREDOCS:
        return number, True
    for word in WORD.findall(instruction):
        if heredoc := HEREDOC.match(word):
            strip = heredoc[1] == "-"
            ends = (
                index
                for index in range(number, len(lines))
                if (lines[index].lstrip("\t") if strip else lines[index]) == heredoc[3]
            )
            end = next(ends, None)
            if end is None:
                # BuildKit reports a heredoc without an end.
                return number, False
            number = end + 1
    return number, True
