"""An app, read from its file and valid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpuhost.appfile.compose_file import ComposeFile
from gpuhost.appfile.model import XGpuhost


@dataclass(frozen=True)
class App:
    """text: the bytes of the file, as they are sent to hosts."""

    name: str
    path: Path
    text: bytes
    compose: ComposeFile
    block: XGpuhost

    @property
    def project(self) -> str:
        """The Compose project on the host."""
        return self.block.project or self.name
