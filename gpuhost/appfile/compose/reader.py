"""Several files and their `include` made one, as Compose does."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.extending import Extending
from gpuhost.appfile.compose.interpolation import Lookup, OnHost
from gpuhost.appfile.compose.merging import merged, size, untagged
from gpuhost.appfile.compose.paths import in_source
from gpuhost.appfile.compose.project_files import Unreadable
from gpuhost.appfile.compose.sources import (
    FileError,
    FileLine,
    OneDocument,
    Sources,
    require_inside,
)
from gpuhost.appfile.compose.uses import Owner, Uses
from gpuhost.appfile.compose.variables import DOTENV, read_dotenv
from gpuhost.appfile.document import Document, Tagged

# Files that include each other twice double with every level.
MAX_INCLUDES = 1000


@dataclass(frozen=True)
class AppDocuments:
    """The app file itself, the last file of its project."""

    shown: str
    documents: Sequence[Document]


@dataclass
class _Model:
    """Files that are one: the project's, or those of an include.

    + includes: entries, and where they are
    """

    value: dict[str, Any] = field(default_factory=dict)
    includes: list[tuple[Any, FileLine]] = field(default_factory=list)


@dataclass
class Reader:
    """+ env_files: that an include names"""

    sources: Sources
    env_files: dict[str, None] = field(default_factory=dict)
    _owners: dict[str, set[Owner]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _included_times: int = 0

    def __post_init__(self) -> None:
        self._extending = Extending(self.sources)

    def model(
        self,
        paths: Sequence[str],
        app: AppDocuments | None,
        base: str,
        lookup: Lookup,
        named_at: FileLine,
    ) -> dict[str, Any]:
        """The merged values of the files.

        + app: read after the files, if it has services
        + base: the project directory
        + named_at: what names the files
        """
        model = _Model()
        self._open += paths
        for path in paths:
            for document in self.sources.documents(path, named_at):
                self._add(model, OneDocument(path, document, base, lookup))
        for document in app.documents if app else ():
            self._add(model, OneDocument(app.shown if app else "", document, base, lookup))
        self._include_all(model, base, lookup)
        return model.value

    def found(self) -> Uses:
        """Where variables are used that are not set."""
        owners = {name: self._extending.all_of(of) for name, of in self._owners.items()}
        return Uses(tuple(self.sources.uses), owners)

    def _add(self, model: _Model, one: OneDocument) -> None:
        value = self.sources.values(one)
        if not isinstance(value, dict):
            if value is not None:
                self.sources.error(one, (), "a Compose file must be a mapping")
            return
        for index, entry in enumerate(_list(value.pop("include", None))):
            where = (self.sources.shown(one.file), one.line("include", index))
            model.includes.append((untagged(entry), where))
        services = value.get("services")
        if isinstance(services, dict):
            earlier = model.value.get("services") or {}
            value["services"] = {
                name: self._extending.service(name, services, one, earlier) for name in services
            }
            for name in services:
                self._owners.setdefault(name, set()).add((one.file, name))
        model.value = merged(model.value, value)

    def _include_all(self, model: _Model, base: str, lookup: Lookup) -> None:
        for entry, where in model.includes:
            entry = entry if isinstance(entry, dict) else {"path": entry}
            paths = [in_source(path, base) for path in _texts(entry.get("path"))]
            repeated = next((path for path in paths if path in self._open), None)
            if repeated:
                said = f"include: {repeated} includes itself"
                self.sources.errors.append(FileError(*where, said))
            elif paths:
                included = self._included(entry, paths, where, base, lookup)
                if self.sources.may_add(size(included) + size(model.value), where):
                    # What the including files say has precedence.
                    model.value = merged(included, model.value)

    def _included(
        self,
        entry: dict[str, Any],
        paths: list[str],
        where: FileLine,
        base: str,
        lookup: Lookup,
    ) -> dict[str, Any]:
        """Another project in this one, with its own directory and env file."""
        self._included_times += 1
        if self._included_times > MAX_INCLUDES:
            said = f"more than {MAX_INCLUDES} files are included, each as often as it is named"
            if self._included_times == MAX_INCLUDES + 1:
                self.sources.errors.append(FileError(*where, said))
            return {}
        given = entry.get("project_directory")
        first = posixpath.dirname(paths[0]) or "."
        directory = in_source(given, base) if isinstance(given, str) else first
        named = [in_source(path, base) for path in _texts(entry.get("env_file"))]
        within = self._with_env(named, directory, where, lookup)
        model = _Model()
        self._open += paths
        for path in paths:
            for document in self.sources.documents(path, where):
                self._add(model, OneDocument(path, document, directory, within))
        self._include_all(model, directory, within)
        del self._open[-len(paths) :]
        return model.value

    def _with_env(self, named: list[str], directory: str, where: FileLine, outer: Lookup) -> Lookup:
        """Variables of an include: those of the project have precedence."""
        values: dict[str, str | OnHost] = {}
        for path in named or [posixpath.normpath(posixpath.join(directory, DOTENV))]:
            try:
                require_inside(path)
                values |= read_dotenv(self.sources.project, path, outer)
            except Unreadable as error:
                said = f"{self.sources.project.shown(path)}: {error}"
                self.sources.errors.append(FileError(*where, said))
            if named:
                self.env_files[path] = None
            elif values:
                self.sources.read[path] = None

        def lookup(name: str) -> str | OnHost | None:
            value = outer(name)
            return values.get(name) if value is None else value

        return lookup


def _list(value: Any) -> list[Any]:
    value = value.value if isinstance(value, Tagged) else value
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    return [item for item in _list(value) if isinstance(item, str)]
