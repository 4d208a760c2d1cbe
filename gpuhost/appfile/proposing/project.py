"""A project with its Compose files, read for proposals."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.interpolation import OnHost
from gpuhost.appfile.compose.merging import merged
from gpuhost.appfile.compose.model import ComposeFile, ComposeService
from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort
from gpuhost.appfile.compose.sources import FileError, Sources
from gpuhost.appfile.proposing import dockerfiles, examples
from gpuhost.appfile.proposing.dockerfiles import Dockerfile
from gpuhost.appfile.proposing.examples import Example
from gpuhost.appfile.proposing.tree import Tree
from gpuhost.appfile.proposing.used import Use


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
    sources: Sources = field(repr=False)
    active: frozenset[str] = frozenset()

    def left_out(self, name: str) -> str:
        """Why an example shows that a variable is optional; "" if it does not."""
        example = self.examples.get(name)
        if example is None:
            file = (
                next(iter(self.examples.values())).where.partition(":")[0] if self.examples else ""
            )
            return f"{file} has not got it" if file else ""
        return f"{example.where} leaves it out" if example.commented else ""

    def services(self) -> Iterator[tuple[str, ComposeService]]:
        """Those that run."""
        for name, service in self.compose.services.items():
            if name in self.active:
                yield name, service

    def raw(self, service: str) -> Mapping[str, Any]:
        return _service(self.model, service)

    def environment(self, service: str) -> Mapping[str, str]:
        """What a container gets, as far as it is known: env files of the source too."""
        own = _environment(self.raw(service))
        passed = {name: self._passed(name) for name, value in own.items() if value is None}
        of_files = {name: one.value for name, one in self.of_env_files(service).items()}
        return {**of_files, **_known(own), **_known(passed)}

    def written_environment(self, service: str) -> Mapping[str, str]:
        """With its variables as they are written."""
        of_files = self.of_env_files(service).items()
        own = _environment(_service(self.written, service))
        return {**{name: one.composed or one.value for name, one in of_files}, **_known(own)}

    def of_env_files(self, service: str) -> dict[str, Example]:
        """Variables of its env files in the source, but not of those that are private."""
        paths = [path for path in self._env_files(service) if not self.tree.is_private(path)]
        return _variables_in(self.tree, paths)

    def names_in_env_files(self, service: str) -> set[str]:
        """Also of private ones: their names are no secret."""
        return set(_variables_in(self.tree, self._env_files(service)))

    def _env_files(self, service: str) -> list[str]:
        files = self.compose.services[service].env_files
        return [posixpath.normpath(file.path) for file in files if is_of_source(file.path)]

    def _passed(self, name: str) -> str | None:
        value = self.dotenv.get(name)
        example = self.examples.get(name)
        return value if isinstance(value, str) else example.value if example else None

    def where(self, *key_path: str | int) -> str:
        """ "compose.yaml:12": where a key is set last."""
        file, line = self.sources.where(key_path)
        return f"{file}:{line}"

    def where_of(self, service: str, name: str) -> str:
        """Where a variable of its environment is set."""
        of_file = self.of_env_files(service).get(name)
        if of_file and name not in _environment(self.raw(service)):
            return of_file.where
        key, value = "environment", self.raw(service).get("environment")
        if isinstance(value, list):
            starts = (str(item).partition("=")[0] == name for item in value)
            index = next((n for n, is_it in enumerate(starts) if is_it), 0)
            return self.where("services", service, key, index)
        return self.where("services", service, key, name)

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
        """A path of the source, as the block names it; None: it leads out of the source."""
        return None if leads_out(path) else posixpath.relpath(path, self.directory)


def started(project: Project, profiles: Collection[str]) -> frozenset[str]:
    """Services that run with these profiles and those of .env."""
    of_env = project.dotenv.get("COMPOSE_PROFILES")
    own = of_env.split(",") if isinstance(of_env, str) else []
    active = {*profiles, *(one.strip() for one in own if one.strip())}
    return frozenset(
        name for name, service in project.compose.services.items() if service.is_started(active)
    )


def _variables_in(tree: Tree, paths: Sequence[str]) -> dict[str, Example]:
    known: dict[str, Example] = {}
    for path in paths:
        known |= examples.read(tree, path)
    return {name: one for name, one in known.items() if not one.commented}


def _service(model: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    services = model.get("services")
    value = services.get(name) if isinstance(services, dict) else None
    return value if isinstance(value, dict) else {}


def _environment(service: Mapping[str, Any]) -> dict[str, str | None]:
    value = merged({}, service.get("environment") or {}, "environment")
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: None if given is None else _text(given) for name, given in pairs}


def _known(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
