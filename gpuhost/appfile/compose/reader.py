"""Reads the files of a project: several files, `include`, `extends`, made one as Compose does."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.filling import filled
from gpuhost.appfile.compose.interpolation import Lookup, OnHost
from gpuhost.appfile.compose.merging import merged, untagged
from gpuhost.appfile.compose.paths import in_source, leads_out, with_paths
from gpuhost.appfile.compose.project_files import Kind, ProjectFiles, Unreadable
from gpuhost.appfile.compose.uses import Owner, Use, Uses
from gpuhost.appfile.compose.variables import DOTENV, read_dotenv
from gpuhost.appfile.document import BadYaml, Document, KeyPath, Tagged, read_all

MAX_FILES = 200


@dataclass(frozen=True)
class FileError:
    """line: 0 if unknown."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else (
            f"{self.file}: {self.message}"
        )


@dataclass(frozen=True)
class AppDocuments:
    """The app file itself, the last file of its project."""

    shown: str
    documents: Sequence[Document]


@dataclass
class _Model:
    """Files that are one: the project's, or those of an include."""

    value: dict[str, Any] = field(default_factory=dict)
    # (file, line) of a key path.
    includes: list[tuple[Any, str, int]] = field(default_factory=list)


@dataclass
class Reader:
    """+ read: the files that were read

    + env_files: that an include names
    """

    project: ProjectFiles
    errors: list[FileError] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    owners: dict[str, set[Owner]] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)
    env_files: dict[str, None] = field(default_factory=dict)
    _extended: dict[Owner, set[Owner]] = field(default_factory=dict)
    _cache: dict[str, list[Document]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _places: list[tuple[str, Document]] = field(default_factory=list)

    def place(self, key_path: KeyPath) -> tuple[str, int]:
        """File and line of a key, or of the nearest key that contains it: where it is set last."""
        for end in range(len(key_path), 0, -1):
            for file, document in reversed(self._places):
                if key_path[:end] in document.lines:
                    return self._shown(file), document.lines[key_path[:end]]
        return (self._shown(self._places[-1][0]), 1) if self._places else ("", 0)

    def model(
        self,
        paths: Sequence[str],
        app: AppDocuments | None,
        base: str,
        lookup: Lookup,
        named_at: tuple[str, int],
    ) -> dict[str, Any]:
        """The merged values of the files, each for itself filled in.

        + named_at: file and line that name the files
        + app: read after the files, if it has services
        + base: the project directory
        """
        model = _Model()
        self._open += paths
        for path in paths:
            self._add(model, path, self._documents(path, *named_at), base, lookup)
        if app:
            self._add(model, app.shown, app.documents, base, lookup)
        for entry, file, line in model.includes:
            self._include(model, entry, (file, line), base, lookup)
        return model.value

    def found(self) -> Uses:
        owners = {name: frozenset(self._all_of(of)) for name, of in self.owners.items()}
        return Uses(tuple(self.uses), owners)

    def _all_of(self, owners: Iterable[Owner]) -> set[Owner]:
        known: set[Owner] = set()
        left = list(owners)
        while left:
            owner = left.pop()
            if owner not in known:
                known.add(owner)
                left += self._extended.get(owner, ())
        return known

    def _documents(self, path: str, at: str, line: int) -> list[Document]:
        """The documents of a file of the project; an error at the place that names it."""
        shown = self.project.shown(path)
        if path in self._cache:
            return self._cache[path]
        documents: list[Document] = []
        try:
            if leads_out(path) or path.startswith(("/", "~", "$")) or "://" in path:
                raise Unreadable("is not in the project; name a file of the source")
            if len(self._cache) >= MAX_FILES:
                raise Unreadable(f"is one of more than {MAX_FILES} files")
            if self.project.kind(path) is not Kind.FILE:
                raise Unreadable("no such file in the source")
            documents = read_all(self.project.read(path))
            self.read[path] = None
        except Unreadable as error:
            self.errors.append(FileError(at, line, f"{shown}: {error}"))
        except BadYaml as error:
            self.errors.append(FileError(shown, error.line, error.message))
        self._cache[path] = documents
        return documents

    def _add(
        self,
        model: _Model,
        file: str,
        documents: Sequence[Document],
        base: str,
        lookup: Lookup,
    ) -> None:
        """Merge the documents of a file into a model."""
        for document in documents:
            value = self._prepared(file, document, base, lookup)
            if not isinstance(value, dict):
                if value is not None:
                    self._error(file, document, (), "a Compose file must be a mapping")
                continue
            for index, entry in enumerate(_list(value.pop("include", None))):
                line = document.line(("include", index))
                model.includes.append((untagged(entry), file, line))
            services = value.get("services")
            if isinstance(services, dict):
                value["services"] = {
                    name: self._extends(name, services, file, document, base, lookup, model)
                    for name in services
                }
                for name in services:
                    self.owners.setdefault(name, set()).add((file, name))
            model.value = merged(model.value, value)

    def _prepared(self, file: str, document: Document, base: str, lookup: Lookup) -> Any:
        shown = self._shown(file)
        self._places.append((file, document))
        value, found = filled(document.value, lookup)
        for key_path in found.bad:
            name = ".".join(map(str, key_path))
            said = f"{name}: not a variable of Compose; write $$ for a literal $"
            self._error(file, document, key_path, said)
        for key_path, one in found.unset:
            owner = (file, str(key_path[1])) if key_path[:1] == ("services",) else None
            self.uses.append(
                Use(
                    one.name,
                    f"{shown}:{document.line(key_path)}",
                    owner if len(key_path) > 1 else None,
                    str(key_path[0] if key_path else "").startswith("x-"),
                    one.required,
                    one.maybe,
                )
            )
        return with_paths(value, base)

    def _extends(
        self,
        name: str,
        services: dict[str, Any],
        file: str,
        document: Document,
        base: str,
        lookup: Lookup,
        model: _Model | None,
        extending: tuple[Owner, ...] = (),
    ) -> Any:
        """A service merged with the one that it extends, of this file or of another."""
        own = services.get(name)
        if not isinstance(own, dict) or "extends" not in own:
            return own
        own = dict(own)
        extends = untagged(own.pop("extends"))
        extends = {"service": extends} if isinstance(extends, str) else extends
        if not isinstance(extends, dict):
            return own
        other, of_file = str(extends.get("service") or name), extends.get("file")
        owner = (file, name)
        key_path = ("services", name, "extends")
        if owner in extending:
            self._error(file, document, key_path, f"services.{name} extends itself")
            return own
        extending = (*extending, owner)
        if isinstance(of_file, str):
            path = in_source(of_file, base)
            place = (self._shown(file), document.line((*key_path, "file")))
            result, source = self._of_other_file(path, other, place, lookup, extending), path
        else:
            earlier = model.value.get("services", {}) if model else {}
            known = services if other in services else earlier
            source = file
            if other not in known:
                self._error(file, document, key_path, f"services.{name} extends {other}: no such service")
            result = (
                self._extends(other, known, file, document, base, lookup, model, extending)
                if other in known
                else None
            )
        self._extended.setdefault(owner, set()).add((source, other))
        return merged(untagged(result), own) if isinstance(result, dict) else own

    def _of_other_file(
        self,
        path: str,
        service: str,
        place: tuple[str, int],
        lookup: Lookup,
        extending: tuple[Owner, ...],
    ) -> Any:
        base = posixpath.dirname(path) or "."
        result: Any = None
        is_new = path not in self._cache
        documents = self._documents(path, *place)
        for document in documents:
            before = len(self.uses)
            value = self._prepared(path, document, base, lookup)
            if not is_new:
                # Its variables are known already.
                del self.uses[before:]
            services = untagged(value).get("services") if isinstance(value, dict) else None
            if isinstance(services, dict) and service in services:
                own = self._extends(
                    service, services, path, document, base, lookup, None, extending
                )
                result = merged(result, own)
        if documents and result is None:
            shown, line = place
            said = f"{self.project.shown(path)} has no service {service}"
            self.errors.append(FileError(shown, line, said))
        return result

    def _include(
        self, model: _Model, entry: Any, place: tuple[str, int], base: str, lookup: Lookup
    ) -> None:
        """Another project in this one, with its own directory and env file."""
        entry = entry if isinstance(entry, dict) else {"path": entry}
        shown, line = self._shown(place[0]), place[1]
        paths = [in_source(path, base) for path in _texts(entry.get("path"))]
        if not paths:
            return
        if repeated := next((path for path in paths if path in self._open), None):
            self.errors.append(FileError(shown, line, f"include: {repeated} includes itself"))
            return
        given = entry.get("project_directory")
        directory = in_source(given, base) if isinstance(given, str) else ""
        directory = directory or posixpath.dirname(paths[0]) or "."
        within = self._with_env(entry, directory, base, (shown, line), lookup)
        documents = [self._documents(path, shown, line) for path in paths]
        included = _Model()
        self._open += paths
        for path, of_file in zip(paths, documents, strict=True):
            self._add(included, path, of_file, directory, within)
        for inner, file, at in included.includes:
            self._include(included, inner, (file, at), directory, within)
        del self._open[-len(paths) :]
        # What the including files say has precedence.
        model.value = merged(included.value, model.value)

    def _with_env(
        self, entry: dict[str, Any], directory: str, base: str, place: tuple[str, int], outer: Lookup
    ) -> Lookup:
        named = _texts(entry.get("env_file"))
        paths = [in_source(path, base) for path in named] or [
            posixpath.normpath(posixpath.join(directory, DOTENV))
        ]
        values: dict[str, str | OnHost] = {}
        for path in paths:
            try:
                values |= read_dotenv(self.project, path, outer)
            except Unreadable as error:
                said = f"{self.project.shown(path)}: {error}"
                self.errors.append(FileError(*place, said))
            if named:
                self.env_files[path] = None
            elif values:
                self.read[path] = None

        def lookup(name: str) -> str | OnHost | None:
            value = outer(name)
            return values.get(name) if value is None else value

        return lookup

    def _shown(self, file: str) -> str:
        return self.project.shown(file) if file in self._cache else file

    def _error(self, file: str, document: Document, key_path: KeyPath, message: str) -> None:
        self.errors.append(FileError(self._shown(file), document.line(key_path), message))


def _list(value: Any) -> list[Any]:
    value = value.value if isinstance(value, Tagged) else value
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Iterator[str] | list[str]:
    return [item for item in _list(value) if isinstance(item, str)]
