"""The files of a project with the overlay and the edits that the app file puts over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpuhost.appfile.compose.project_files import Kind, LocalFiles, ProjectFiles
from gpuhost.appfile.local_path import local_path
from gpuhost.appfile.source import Edit, Source
from gpuhost.runner.contract import replace_once


def patched(files: ProjectFiles, source: Source | None, app_file: Path) -> ProjectFiles:
    """The files as they will be on the host.

    + app_file: an overlay's directory is relative to it
    """
    if source is None or not (source.overlay or source.edits):
        return files
    overlay = local_path(source.overlay, app_file) if source.overlay else None
    return PatchedFiles(files, LocalFiles(overlay) if overlay else None, source.edits)


@dataclass(frozen=True)
class PatchedFiles:
    files: ProjectFiles
    overlay: LocalFiles | None
    edits: Sequence[Edit]

    def kind(self, path: str) -> Kind:
        own, added = self.files.kind(path), self._added(path)
        if added is Kind.ABSENT or (added is Kind.EMPTY and own is Kind.DIRECTORY):
            return own
        return added

    def read(self, path: str) -> str:
        if self.overlay and self._added(path) is Kind.FILE:
            text = self.overlay.read(path)
        else:
            text = self.files.read(path)
        for edit in self.edits:
            # The host refuses an edit that does not fit.
            if edit.file == path:
                text, _ = replace_once(text, edit.find, edit.replace)
        return text

    def shown(self, path: str) -> str:
        if self.overlay and self._added(path) is Kind.FILE:
            return self.overlay.shown(path)
        return self.files.shown(path)

    def _added(self, path: str) -> Kind:
        return self.overlay.kind(path) if self.overlay else Kind.ABSENT
