"""The Compose project of an app: its files, found and read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gpuhost.appfile.compose.default_files import NAMES, default_files
from gpuhost.appfile.compose.interpolation import OnHost
from gpuhost.appfile.compose.model import ComposeFile
from gpuhost.appfile.compose.model_reading import compose_file
from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.compose.project_files import Kind, NoFiles, ProjectFiles, Unreadable
from gpuhost.appfile.compose.reader import AppDocuments, Reader
from gpuhost.appfile.compose.sources import FileError, FileLine, Sources
from gpuhost.appfile.compose.uses import Uses
from gpuhost.appfile.compose.variables import DOTENV, Variables, example_of, read_dotenv
from gpuhost.appfile.document import Document
from gpuhost.runner.contract import APPS, why_secret


@dataclass(frozen=True)
class Named:
    """What the block x-gpuhost says of the project's files.

    + secrets: variables on the host
    + secret_files: paths in the project directory
    """

    compose: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    secret_files: frozenset[str] = frozenset()
    project: str | None = None


@dataclass(frozen=True)
class ComposeProject:
    """+ files: the project's own files, as for `-f`; paths are relative to the source
    + inline: the app file has services, and is the last file
    + directory: of the first file: the project directory
    + read: every file that was read here
    + env_files: that an `include` names
    + root_dotenv: COMPOSE_FILE of the .env at the root names files of another directory; both .env
      count, and the one at the root wins
    + profiles: of COMPOSE_PROFILES in .env
    + kinds: what the source has of the paths that services mount or read; empty if not known
    + own_name: COMPOSE_PROJECT_NAME of .env
    + examples: what .env.example says of unset variables
    """

    compose: ComposeFile = field(default_factory=ComposeFile)
    files: tuple[str, ...] = ()
    inline: bool = True
    directory: str = "."
    read: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    root_dotenv: bool = False
    profiles: tuple[str, ...] = ()
    uses: Uses = field(default_factory=Uses)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    own_name: str | None = None
    examples: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[FileError, ...] = ()

    @property
    def name(self) -> str | None:
        """COMPOSE_PROJECT_NAME or `name:` of the project's own files."""
        return (self.own_name or self.compose.name) if self.files else None


def read_project(
    project: ProjectFiles,
    named: Named,
    documents: Sequence[Document],
    *,
    app_file: FileLine,
    beside: str = "",
) -> ComposeProject:
    """Every error is in the result.

    + app_file: the app's file, and the line that names the project's files, for messages
    + beside: its name, if it is in the project's directory itself
    """
    inline = any(_has_services(document) for document in documents)
    sources = Sources(project)
    root = _dotenv(project, sources, DOTENV, Variables(named.variables, named.secrets))
    files = named.compose or (() if inline else default_files(project, root, but=beside))
    directory = (posixpath.dirname(files[0]) or ".") if files else "."
    if not files and not inline:
        message = f"no services here, and no {', '.join(NAMES)} in {project.shown('.')}"
        fix = "set x-gpuhost.source to where the project is, or name its files in x-gpuhost.compose"
        errors = (FileError(*app_file, f"{message}; {fix}"),)
        return ComposeProject(errors=errors, inline=False)
    root_dotenv = bool(files) and not named.compose and directory != "."
    variables = _variables(project, sources, named, directory, root if root_dotenv else {})
    reader = Reader(sources)
    app = AppDocuments(app_file[0], documents) if inline else None
    compose = compose_file(reader.model(files, app, directory, variables.lookup, app_file))
    uses = reader.found()
    return ComposeProject(
        compose,
        files,
        inline,
        directory,
        tuple(sources.read),
        tuple(reader.env_files),
        root_dotenv,
        _profiles(variables),
        uses,
        dict(_kinds(compose, project)),
        _own_name(variables),
        {use.name: example_of(project, directory, use.name) for use in uses.all},
        tuple(dict.fromkeys((*sources.errors, *_outside(compose, sources)))),
    )


def _has_services(document: Document) -> bool:
    value = document.value
    return isinstance(value, dict) and any(not key.startswith("x-") for key in value)


def _variables(
    project: ProjectFiles,
    sources: Sources,
    named: Named,
    directory: str,
    root: Mapping[str, str | OnHost],
) -> Variables:
    """+ root: of the .env at the root, if it counts too"""
    given = Variables(
        named.variables,
        named.secrets,
        dotenv_of_host=DOTENV in named.secret_files,
        project=named.project,
    )
    dotenv = _dotenv(project, sources, posixpath.normpath(f"{directory}/{DOTENV}"), given)
    dotenv = {**dotenv, **root}
    return Variables(given.given, given.secrets, dotenv, given.dotenv_of_host, given.project)


def _dotenv(
    project: ProjectFiles, sources: Sources, path: str, variables: Variables
) -> Mapping[str, str | OnHost]:
    try:
        values = read_dotenv(project, path, variables.lookup)
    except Unreadable as error:
        sources.errors.append(FileError(project.shown(path), 0, str(error)))
        return {}
    if values:
        sources.read[path] = None
    return values


def _own_name(variables: Variables) -> str | None:
    name = variables.dotenv.get("COMPOSE_PROJECT_NAME")
    return name if isinstance(name, str) and name else None


def _profiles(variables: Variables) -> tuple[str, ...]:
    value = variables.lookup("COMPOSE_PROFILES")
    names = value.split(",") if isinstance(value, str) else []
    return tuple(name.strip() for name in names if name.strip())


def _kinds(compose: ComposeFile, project: ProjectFiles) -> Iterator[tuple[str, Kind]]:
    if isinstance(project, NoFiles):
        return
    for service in compose.services.values():
        paths = (*(one.source for one in service.mounts), *(f.path for f in service.env_files))
        for path in filter(is_of_source, paths):
            yield path, project.kind(posixpath.normpath(path))


def _outside(compose: ComposeFile, sources: Sources) -> Iterator[FileError]:
    """Paths that lead out of the source, which is all that the host gets; or to others' files."""
    read = (*_paths(compose), *_paths_of_host(compose))
    for key_path, path in (*_mounts(compose), *read):
        if leads_out(path):
            said = f"{'.'.join(key_path)}: {path.removeprefix('./')} leads out of the source"
            fix = "set x-gpuhost.source to a directory that contains it, or change the path with "
            fix += "source.edits"
            yield FileError(*sources.where(key_path), f"{said}; {fix}")
    for key_path, path in read:
        if path.startswith("/") and (reason := why_secret(path, _shared(path))):
            said = f"{'.'.join(key_path)}: {path} is not the app's: {reason}"
            yield FileError(*sources.where(key_path), f"{said}; name a file of the source")


def _shared(path: str) -> str:
    """The directory of an app's data that has the path: only the host knows whether it is another
    app's.
    """
    parts = PurePosixPath(path).parts[: len(APPS.parts) + 2]
    return str(PurePosixPath(*parts)) if parts[-1] == "shared" else ""


def _mounts(compose: ComposeFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """A container may be given a path of the host: the host refuses those of other apps."""
    for name, service in compose.services.items():
        yield from ((("services", name, "volumes"), one.source) for one in service.mounts)


def _paths_of_host(compose: ComposeFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Files that Compose or a build reads as root."""
    for name, service in compose.services.items():
        yield from ((("services", name, "label_file"), path) for path in service.label_files)
        if service.build and service.build.context.startswith("/"):
            yield ("services", name, "build"), service.build.context


def _paths(compose: ComposeFile) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, service in compose.services.items():
        key_path, build = ("services", name), service.build
        yield from (((*key_path, "env_file"), one.path) for one in service.env_files)
        if build:
            own = (build.context,) if build.is_of_source else ()
            yield from (((*key_path, "build"), path) for path in (*own, *build.additional))
    for key, resources in (("configs", compose.configs), ("secrets", compose.secrets)):
        yield from (((key, name, "file"), one.file) for name, one in resources.items() if one.file)
