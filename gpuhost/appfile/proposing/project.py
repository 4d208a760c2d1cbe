"""A project with its Compose files, read for proposals."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.interpolation import Lookup, OnHost
from gpuhost.appfile.compose.merging import merged
from gpuhost.appfile.compose.model import ComposeFile, ComposeService
from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.compose.reader import FileError, Reader
from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort
from gpuhost.appfile.compose.variables import DOTENV, Variables, read_dotenv
from gpuhost.appfile.document import Document, read_all
from gpuhost.appfile.proposing import dockerfiles, examples
from gpuhost.appfile.proposing.dockerfiles import Dockerfile
from gpuhost.appfile.proposing.examples import Example
from gpuhost.appfile.proposing.tree import Tree
from gpuhost.appfile.proposing.used import Use, uses_in


@dataclass(frozen=True)
class Project:
    """+ model: the merged files, with variables that are known filled in

    + written: the same with its variables as they are written
    + directory: the project directory, that of the first file
    + dotenv: the variables of .env
    + examples: of the example files
    + active: services that run, with a card or without one
    """

    name: str
    tree: Tree
    files: tuple[str, ...]
    directory: str
    model: Mapping[str, Any]
    written: Mapping[str, Any]
    compose: ComposeFile
    uses: tuple[Use, ...]
    dotenv: Mapping[str, str | OnHost]
    examples: Mapping[str, Example]
    errors: tuple[FileError, ...]
    reader: Reader = field(repr=False)
    active: frozenset[str] = frozenset()

    def services(self) -> Iterator[tuple[str, ComposeService]]:
        """Those that run."""
        for name, service in self.compose.services.items():
            if name in self.active:
                yield name, service

    def raw(self, service: str) -> Mapping[str, Any]:
        return _service(self.model, service)

    def environment(self, service: str) -> Mapping[str, str]:
        return _environment(self.raw(service))

    def written_environment(self, service: str) -> Mapping[str, str]:
        """With its variables as they are written."""
        return _environment(_service(self.written, service))

    def place(self, *key_path: str | int) -> str:
        """ "compose.yaml:12": where a key is set last."""
        file, line = self.reader.place(key_path)
        return f"{file}:{line}"

    def line_of(self, service: str, key: str, name: str) -> str:
        """The place of NAME in a mapping, or in a list of NAME=value."""
        value = self.raw(service).get(key)
        if isinstance(value, list):
            starts = (str(item).partition("=")[0] == name for item in value)
            index = next((n for n, is_it in enumerate(starts) if is_it), 0)
            return self.place("services", service, key, index)
        return self.place("services", service, key, name)

    def dockerfile(self, service: str) -> Dockerfile | None:
        build = self.compose.services[service].build
        if build is None or not build.is_of_source or not build.dockerfile:
            return None
        path = posixpath.normpath(posixpath.join(build.context, build.dockerfile))
        text = None if leads_out(path) else self.tree.text(path)
        if text is None:
            return None
        written = self.raw(service).get("build")
        given = written.get("args") if isinstance(written, dict) else None
        arguments = merged({}, given or {}, "args")
        known = {name: _text(value) for name, value in arguments.items() if value is not None}
        return dockerfiles.parse(text, path, known, build.target)

    def ports(self, service: str) -> list[PublishedPort]:
        ports = []
        for entry in self.compose.services[service].ports:
            try:
                ports.append(PublishedPort.parse(entry))
            except BadPort:
                continue
        return ports

    def in_directory(self, path: str) -> str | None:
        """A path of the source, as the block names it; None: it is not below the project's."""
        path = posixpath.relpath(path, self.directory)
        return None if leads_out(path) else path


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
    compose = ComposeFile.of(model)
    return Project(
        name, tree, tuple(files), directory, model, written, compose, uses, dotenv, known,
        tuple(reader.errors), reader, frozenset(compose.services),
    )  # fmt: skip


def started(project: Project, profiles: Collection[str]) -> frozenset[str]:
    """Services that run with these profiles and those of .env."""
    of_env = project.dotenv.get("COMPOSE_PROFILES")
    own = of_env.split(",") if isinstance(of_env, str) else []
    active = {*profiles, *(one.strip() for one in own if one.strip())}
    return frozenset(
        name for name, service in project.compose.services.items() if service.is_started(active)
    )


def dotenv_of(tree: Tree, directory: str) -> Mapping[str, str | OnHost]:
    path = posixpath.normpath(posixpath.join(directory, DOTENV))
    return {} if tree.text(path) is None else read_dotenv(tree, path, lambda _: None)


def _model(
    tree: Tree, files: Sequence[str], directory: str, lookup: Lookup
) -> tuple[dict[str, Any], Reader]:
    reader = Reader(tree)
    return reader.model(files, None, directory, lookup, (files[0], 0)), reader


def _uses(tree: Tree, reader: Reader) -> Iterator[Use]:
    owners: dict[tuple[str, str], tuple[str, ...]] = {}
    for service, parts in (reader.found().owners or {}).items():
        for owner in parts:
            owners[owner] = (*owners.get(owner, ()), service)
    for path in reader.read:
        if path.endswith((".yml", ".yaml")):
            for document in _documents(tree, path):
                yield from uses_in(path, document, owners)


def _documents(tree: Tree, path: str) -> list[Document]:
    return read_all(tree.text(path) or "")


def _service(model: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    services = model.get("services")
    value = services.get(name) if isinstance(services, dict) else None
    return value if isinstance(value, dict) else {}


def _environment(service: Mapping[str, Any]) -> Mapping[str, str]:
    value = merged({}, service.get("environment") or {}, "environment")
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: _text(given) for name, given in pairs if given is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


