"""The files of a project that somebody names: a directory of this machine, or a git URL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gpuhost.appfile.compose.project_files import LocalFiles
from gpuhost.appfile.proposing.proposal import Proposal
from gpuhost.appfile.proposing.tree import Tree
from gpuhost.appfile.source import Source
from gpuhost.release.git import BadGit, resolve_ref
from gpuhost.release.git_files import TREE, commit_files
from gpuhost.release.local_command import LocalCommandError, run_local
from gpuhost.release.secrets import GivenSecrets
from gpuhost.release.source import BadSource

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:")
OTHERWISE = "check the URL, the part after #, and the network; or clone it, and give its directory"
MAX_FILES = 20_000
GIT_SECONDS = 30
# What tools make; a project's own files are elsewhere.
SKIPPED = frozenset((".git", "node_modules", ".venv", "venv", "__pycache__", ".next", ".tox"))


@dataclass(frozen=True)
class NamedProject:
    """source: the section of the app file that names it."""

    tree: Tree
    source: Sequence[Proposal]


@contextmanager
def open_project(named: str, app_directory: Path) -> Iterator[NamedProject]:
    """+ named: a directory, or a git URL, with `#ref` or without

    + app_directory: where the app file will be

    Raises BadSource.
    """
    if URL.match(named):
        with _of_git(named) as project:
            yield project
    else:
        yield _of_directory(Path(named), app_directory)


@contextmanager
def _of_git(named: str) -> Iterator[NamedProject]:
    url, _, ref = named.partition("#")
    try:
        source = Source(git=url, ref=ref or "HEAD")
    except ValidationError as error:
        raise BadSource(_refusal(url, ref, error)) from None
    secrets = GivenSecrets()
    try:
        commit = resolve_ref(source, secrets)
        with commit_files(source, secrets, commit) as files:
            names = tuple(name for name, mode in files.entries.items() if mode != TREE)
            yield NamedProject(Tree(files, tuple(sorted(names))), _git(url, ref, commit))
    except BadGit as error:
        raise BadSource(f"{error.failed}; {OTHERWISE}") from None


def _refusal(url: str, ref: str, error: ValidationError) -> str:
    """Without the URL, if it has a login."""
    said = error.errors(include_url=False)[0]
    if said["loc"][:1] == ("ref",):
        return f"{ref!r} is not a branch, tag or commit"
    if said["type"] == "value_error":
        return "the URL must not contain a login; clone the repository, and give its directory"
    return f"{url}: not a git URL; use https://…, ssh://… or git@host:path, or a directory"


def _git(url: str, ref: str, commit: str) -> list[Proposal]:
    said = (
        "the commit that was given"
        if ref == commit
        else f"the newest of {ref or 'its branch'} when this was written"
    )
    return [
        Proposal(("source", "git"), url, ""),
        Proposal(("source", "ref"), commit, said),
    ]


def _of_directory(directory: Path, app_directory: Path) -> NamedProject:
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "no such directory"
        raise BadSource(f"{directory}: {what}; give a directory, or a git URL (https://…)")
    try:
        names = tuple(sorted(_names(directory)))
    except OSError as error:
        raise BadSource(f"{error.filename}: cannot be read: {error.strerror}") from None
    tree = Tree(LocalFiles(directory), names, frozenset(_ignored(directory)))
    path = str(directory) if directory.is_absolute() else os.path.relpath(directory, app_directory)
    reason = "relative to this file; .dockerignore applies" if not directory.is_absolute() else ""
    return NamedProject(tree, [Proposal(("source", "directory"), path, reason)])


def _names(directory: Path) -> Iterator[str]:
    """Files, the nearest first if there are very many."""

    def stop(error: OSError) -> None:
        if error.filename == str(directory):
            raise error

    count = 0
    for parent, directories, names in os.walk(directory, onerror=stop):
        directories[:] = sorted(name for name in directories if name not in SKIPPED)
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), directory).replace(os.sep, "/")  # noqa: PTH118
            count += 1
            if count >= MAX_FILES:
                return


def _ignored(directory: Path) -> Iterator[str]:
    """What git ignores in its work tree: the data of a run by hand."""
    options = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    try:
        result = run_local(["git", "-C", str(directory), "ls-files", *options], seconds=GIT_SECONDS)
    except LocalCommandError:
        return
    if result.status == 0:
        yield from (
            name.rstrip("/")
            for name in result.out.decode("utf-8", "surrogateescape").split("\0")
            if name
        )
