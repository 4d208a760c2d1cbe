"""A project of somebody, read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpuhost.appfile.compose.interpolation import Lookup, OnHost
from gpuhost.appfile.compose.model_reading import compose_file
from gpuhost.appfile.compose.project_files import Unreadable
from gpuhost.appfile.compose.reader import Reader
from gpuhost.appfile.compose.sources import Sources
from gpuhost.appfile.compose.variables import DOTENV, Variables, read_dotenv
from gpuhost.appfile.document import Document, read_all
from gpuhost.appfile.proposing import examples
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.tree import Tree
from gpuhost.appfile.proposing.used import Use, uses_in


def read(tree: Tree, files: Sequence[str], name: str) -> Project:
    """A project. Every error of its files is in the result."""
    directory = posixpath.dirname(files[0]) or "."
    dotenv = dotenv_of(tree, directory)
    known = examples.read_all(tree, examples.example_files(tree, directory))
    base = Variables(dotenv=dotenv, project=name)
    _, first = _model(tree, files, directory, base.lookup)
    uses = tuple(_uses(tree, first))
    unset = {use.name for use in uses if use.default is None and not use.passed}

    def lookup(variable: str) -> str | OnHost | None:
        value = base.lookup(variable)
        if value is not None or variable not in unset:
            return value
        example = known.get(variable)
        return example.value if example and example.value else OnHost.SET

    model, reader = _model(tree, files, directory, lookup)
    written, _ = _model(tree, files, directory, lambda _: OnHost.SET)
    compose = compose_file(model)
    return Project(
        name, tree, tuple(files), directory, model, written, compose, uses, dotenv, known,
        tuple(reader.sources.errors), reader.sources, frozenset(compose.services),
    )  # fmt: skip


def dotenv_of(tree: Tree, directory: str) -> Mapping[str, str | OnHost]:
    path = posixpath.normpath(posixpath.join(directory, DOTENV))
    try:
        return {} if tree.text(path) is None else read_dotenv(tree, path, lambda _: None)
    except Unreadable:
        return {}


def _model(
    tree: Tree, files: Sequence[str], directory: str, lookup: Lookup
) -> tuple[dict[str, Any], Reader]:
    reader = Reader(Sources(tree))
    return reader.model(files, None, directory, lookup, (files[0], 0)), reader


def _uses(tree: Tree, reader: Reader) -> Iterator[Use]:
    owners: dict[tuple[str, str], tuple[str, ...]] = {}
    for service, parts in (reader.found().owners or {}).items():
        for owner in parts:
            owners[owner] = (*owners.get(owner, ()), service)
    for path in reader.sources.read:
        if path.endswith((".yml", ".yaml")):
            for document in _documents(tree, path):
                yield from uses_in(path, document, owners)


def _documents(tree: Tree, path: str) -> list[Document]:
    return read_all(tree.text(path) or "")
