"""An app, read from its file and valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.compose.model import ComposeFile
from gpuhost.appfile.compose.project import ComposeProject
from gpuhost.appfile.document import Document
from gpuhost.appfile.local_path import local_path
from gpuhost.appfile.model import XGpuhost


@dataclass(frozen=True)
class App:
    """text: the bytes of the file, as they are sent to hosts.

    + files: the project's Compose files and the app's own, as one
    + block: with paths in the source, if all files are known
    + documents: of the app file
    + is_complete: False while files of a git repository must be read: then the names in the block
      are not checked yet
    """

    name: str
    path: Path
    text: bytes
    files: ComposeProject
    block: XGpuhost
    documents: Sequence[Document] = field(default=(), repr=False)
    is_complete: bool = True

    @property
    def compose(self) -> ComposeFile:
        return self.files.compose

    @property
    def project(self) -> str:
        """The Compose project on the host."""
        return self.block.project or self.files.name or self.name

    @property
    def directory(self) -> Path | None:
        """Where the project's files are on this machine; None: in a git repository."""
        return source_directory(self.block, self.path)


def source_directory(block: XGpuhost, path: Path) -> Path | None:
    """+ path: of the app file"""
    source = block.source
    if source is None:
        return path.parent
    if source.git is not None:
        return None
    return local_path(source.directory or ".", path)
