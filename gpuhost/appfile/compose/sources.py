"""The documents of a project's files, each read once, with their variables filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhost.appfile.compose.filling import filled
from gpuhost.appfile.compose.interpolation import Lookup
from gpuhost.appfile.compose.paths import leads_out, with_paths
from gpuhost.appfile.compose.project_files import Kind, ProjectFiles, Unreadable
from gpuhost.appfile.compose.uses import Use
from gpuhost.appfile.document import BadYaml, Document, KeyPath, read_all

MAX_FILES = 200
# A few services that extend others, or files that include others, stand for any number of values.
MAX_VALUES = 500_000
# A file and a line in it.
FileLine = tuple[str, int]


@dataclass(frozen=True)
class FileError:
    """line: 0 if unknown."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


@dataclass(frozen=True)
class OneDocument:
    """A document of a file, and how what is in it is meant.

    + base: the directory of its relative paths
    """

    file: str
    document: Document
    base: str
    lookup: Lookup

    def line(self, *key_path: str | int) -> int:
        return self.document.line(key_path)


@dataclass
class Sources:
    """+ read: the files that were read, in order

    + uses: variables that are not set
    """

    project: ProjectFiles
    errors: list[FileError] = field(default_factory=list)
    uses: dict[Use, None] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)
    _values_left: int = MAX_VALUES
    _cache: dict[str, list[Document]] = field(default_factory=dict)
    _documents: list[tuple[str, Document]] = field(default_factory=list)

    def documents(self, path: str, named_at: FileLine) -> Sequence[Document]:
        """The documents of a file of the project; none if it cannot be read, which is an error."""
        if path in self._cache:
            return self._cache[path]
        self._cache[path] = []
        shown = self.project.shown(path)
        try:
            self._require(path)
            self._cache[path] = read_all(self.project.read(path))
            self.read[path] = None
        except Unreadable as error:
            is_named = shown != named_at[0]
            self.errors.append(
                FileError(*named_at, f"{shown}: {error}" if is_named else str(error))
            )
        except BadYaml as error:
            self.errors.append(FileError(shown, error.line, error.message))
        return self._cache[path]

    def _require(self, path: str) -> None:
        """Raises Unreadable."""
        require_inside(path)
        if len(self._cache) > MAX_FILES:
            raise Unreadable(f"is one of more than {MAX_FILES} files")
        if self.project.kind(path) is not Kind.FILE:
            raise Unreadable("no such file in the source")

    def values(self, one: OneDocument) -> Any:
        """What a document says, with its paths in the source; None if that is too much."""
        if not self.may_add(len(one.document.lines), (self.shown(one.file), 0)):
            return None
        self._documents.append((one.file, one.document))
        value, found = filled(one.document.value, one.lookup)
        for key_path in found.bad:
            name = ".".join(map(str, key_path))
            said = f"{name}: not a variable of Compose; write $$ for a literal $"
            self.error(one, key_path, said)
        for key_path in found.too_long[:1]:
            name = ".".join(map(str, key_path))
            self.error(one, key_path, f"{name}: its variables become too large")
        for key_path, unset in found.unset:
            is_of_service = key_path[:1] == ("services",) and len(key_path) > 1
            use = Use(
                unset.name,
                f"{self.shown(one.file)}:{one.line(*key_path)}",
                (one.file, str(key_path[1])) if is_of_service else None,
                str(key_path[0] if key_path else "").startswith("x-"),
                unset.required,
                unset.maybe,
            )
            self.uses[use] = None
        return with_paths(value, one.base)

    def may_add(self, count: int, where: FileLine) -> bool:
        """Count values that are read, or merged; of too many, the first time is an error."""
        was_enough = self._values_left >= 0
        self._values_left -= count
        if was_enough and self._values_left < 0:
            said = f"more than {MAX_VALUES} values, with extends and include expanded"
            self.errors.append(FileError(*where, said))
        return self._values_left >= 0

    def where(self, key_path: KeyPath) -> FileLine:
        """File and line of a key, or of the nearest key that contains it: where it is set last."""
        for end in range(len(key_path), 0, -1):
            for file, document in reversed(self._documents):
                if key_path[:end] in document.lines:
                    return self.shown(file), document.lines[key_path[:end]]
        return (self.shown(self._documents[-1][0]), 1) if self._documents else ("", 0)

    def shown(self, file: str) -> str:
        return self.project.shown(file) if file in self._cache else file

    def error(self, one: OneDocument, key_path: KeyPath, message: str) -> None:
        self.errors.append(FileError(self.shown(one.file), one.line(*key_path), message))


def require_inside(path: str) -> None:
    """Raises Unreadable for a path that is not one of the project."""
    if leads_out(path) or path.startswith(("/", "~", "$")) or "://" in path:
        raise Unreadable("is not in the project; name a file of the source")
