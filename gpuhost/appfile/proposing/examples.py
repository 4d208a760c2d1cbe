"""What the example files of a project (.env.example …) say of its variables."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.compose.dotenv import LINE, parse
from gpuhost.appfile.compose.interpolation import OnHost
from gpuhost.appfile.compose.project_files import Unreadable
from gpuhost.appfile.proposing.tree import Tree

WORDS = "example|sample|template|tmpl|dist|default"
EXAMPLE = re.compile(rf"\.?(?:[a-z0-9]+[.\-_])*env(?:[.\-_][a-z0-9]+)*[.\-_](?:{WORDS})s?")
EXAMPLE_FIRST = re.compile(
    rf"\.?(?:{WORDS})s?[.\-_]env|\.?env[.\-_](?:{WORDS})s?(?:[.\-_][a-z0-9]+)*"
)
COMMENTED = re.compile(r"\s*#+\s*(?=[A-Za-z_][A-Za-z0-9_]*=\S)")


@dataclass(frozen=True)
class Example:
    """+ where: "file:line"

    + commented: the line is a comment: the variable is optional
    + composed: the value is made of other variables, as it is written
    """

    name: str
    value: str
    where: str
    commented: bool = False
    composed: str = ""


def example_files(tree: Tree, directory: str) -> list[str]:
    """Example files in the project's directory and at the root of the source, the best first."""
    directories = list(dict.fromkeys((posixpath.normpath(directory or "."), ".")))
    found = [
        path
        for path in tree.names
        if (posixpath.dirname(path) or ".") in directories and is_example(posixpath.basename(path))
    ]
    return sorted(
        found, key=lambda path: (directories.index(posixpath.dirname(path) or "."), len(path), path)
    )


def is_example(name: str) -> bool:
    return bool(EXAMPLE.fullmatch(name) or EXAMPLE_FIRST.fullmatch(name))


def example_for(tree: Tree, path: str) -> str | None:
    """The example of one env file: ".env.api" has .env.api.example, or .env.example."""
    directory, name = posixpath.split(path)
    files = [
        file for file in example_files(tree, directory) if posixpath.dirname(file) == directory
    ]
    stem = name.strip(".").removesuffix(".env")
    of_that = [file for file in files if stem in posixpath.basename(file)]
    is_only = name in (".env", "env") or len(files) == 1
    return next(iter(of_that), files[0] if is_only and files else None)


def read(tree: Tree, path: str) -> dict[str, Example]:
    return {one.name: one for one in _lines(path, tree.text(path) or "")}


def read_all(tree: Tree, paths: list[str]) -> dict[str, Example]:
    """The first file that has a variable counts."""
    known: dict[str, Example] = {}
    for path in paths:
        known = {**read(tree, path), **known}
    return known


def _lines(path: str, text: str) -> Iterator[Example]:
    """Commented lines first: one that is none wins."""
    lines = text.removeprefix("\ufeff").splitlines()
    for is_commented in (True, False):
        for number, line in enumerate(lines, 1):
            stripped = COMMENTED.sub("", line) if is_commented else line
            if (stripped == line) is is_commented or not LINE.fullmatch(stripped):
                continue
            # A value with variables is not known here.
            for name, value in _parsed(stripped).items():
                if name.isidentifier():
                    written = stripped.partition("=")[2].strip().strip("\"'")
                    known, composed = (value, "") if isinstance(value, str) else ("", written)
                    yield Example(name, known, f"{path}:{number}", is_commented, composed)


def _parsed(line: str) -> dict[str, str | OnHost]:
    try:
        return parse(line, lambda _: OnHost.SET)
    except Unreadable:
        return {}
