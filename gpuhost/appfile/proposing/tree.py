"""The files of a project that nobody described yet."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.compose.project_files import Kind, LocalFiles, ProjectFiles, Unreadable
from gpuhost.appfile.compose.variables import DOTENV


@dataclass(frozen=True)
class Tree:
    """The files of a project, with their names.

    + names: of files, relative to the source
    + ignored: paths that git ignores: what is below them is data, not the project's
    """

    files: ProjectFiles
    names: tuple[str, ...]
    ignored: frozenset[str] = frozenset()

    def kind(self, path: str) -> Kind:
        if leads_out(path):
            return Kind.ABSENT
        kind = self.files.kind(path)
        return Kind.EMPTY if kind is Kind.DIRECTORY and self._is_ignored(path) else kind

    def read(self, path: str) -> str:
        return self.files.read(path)

    def shown(self, path: str) -> str:
        """In the app file a path is that of the source."""
        return path

    def text(self, path: str) -> str | None:
        """The text of a file, if it can be read."""
        try:
            return self.read(path) if self.kind(path) is Kind.FILE else None
        except Unreadable:
            return None

    def is_private(self, path: str) -> bool:
        """Whether a file is of this machine, not of the project: its values are the user's."""
        is_local = isinstance(self.files, LocalFiles)
        return self._is_ignored(path) or (is_local and posixpath.basename(path) == DOTENV)

    def _is_ignored(self, path: str) -> bool:
        parts = posixpath.normpath(path).split("/")
        return any("/".join(parts[:count]) in self.ignored for count in range(1, len(parts) + 1))
