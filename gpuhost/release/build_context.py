"""The directories that images are built from, and what their .dockerignore excludes."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gpuhost.appfile.compose.project_files import Kind, LocalFiles, Unreadable
from gpuhost.release.dockerignore import DockerIgnore, TooManyRules
from gpuhost.release.selection import Selection


class BadDirectory(ValueError):
    """One sentence: what is wrong with a directory, and what to do."""


@dataclass(frozen=True)
class BuildContext:
    """directory: relative to the source; dockerfile: relative to the directory."""

    directory: str = "."
    dockerfile: str = "Dockerfile"


def included_files(
    directory: Path, contexts: Iterable[BuildContext], selection: Selection
) -> Callable[[str], bool]:
    """Whether a file of the directory is sent: no context's .dockerignore may exclude it from all.

    + contexts: each has its own .dockerignore; if empty, the directory itself is the context
    + selection: what is sent anyway, and what is not

    Raises BadDirectory.
    """
    default = [] if selection.only_named else [_rules(directory, BuildContext())]
    rules = [_rules(directory, context) for context in contexts] or default
    kept = {name for rule in rules for name in rule.kept}
    roots = {rule.root for rule in rules} | kept

    def is_included(name: str) -> bool:
        if name in kept:
            return True
        decided = selection.decides(name, roots)
        if decided is not None:
            return decided
        applying = [rule for rule in rules if rule.relative(name) is not None]
        # Files outside every context are included: a build may use an additional context.
        return not applying or any(
            not rule.ignore.ignores(inside)
            for rule in applying
            if (inside := rule.relative(name)) is not None
        )

    return is_included


@dataclass(frozen=True)
class _Rules:
    """The rules of one context. kept: files the build needs, which no rule excludes."""

    root: str
    ignore: DockerIgnore
    kept: frozenset[str]

    def relative(self, name: str) -> str | None:
        if self.root == ".":
            return name
        inside = name.removeprefix(f"{self.root}/")
        return inside if inside != name else None


def _rules(directory: Path, context: BuildContext) -> _Rules:
    root = posixpath.normpath(context.directory)
    dockerfile = posixpath.normpath(posixpath.join(root, context.dockerfile))
    # A Dockerfile's own .dockerignore takes precedence over its context's.
    names = [
        f"{dockerfile}.dockerignore",
        posixpath.normpath(posixpath.join(root, ".dockerignore")),
    ]
    project = LocalFiles(directory)
    files = [name for name in names if project.kind(name) is Kind.FILE]
    try:
        ignore = DockerIgnore.parse(project.read(files[0]) if files else "")
    except (Unreadable, TooManyRules) as error:
        raise BadDirectory(f"{project.shown(files[0])}: {error}") from None
    return _Rules(root, ignore, frozenset({dockerfile, *files}))
