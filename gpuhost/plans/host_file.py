"""A file that gpuhost writes as a whole, and its comparison with the file on the host."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from gpuhost.snapshot import NotRead, Snapshot


@dataclass(frozen=True)
class HostFile:
    """The file as it must be. mode: four octal digits; the owner is root."""

    path: str
    content: str
    mode: str = "0644"

    @property
    def sha256(self) -> str:
        return sha256(self.content.encode()).hexdigest()

    def is_on(self, snapshot: Snapshot) -> bool:
        """Whether the host has it, with this content and mode, and owned by root.

        Raises NotRead if only root can read it.
        """
        state = snapshot.paths.get(self.path)
        if state is None:
            return False
        if state.sha256 is None and "regular" in state.kind:
            raise NotRead(f"{self.path}: only root can read it")
        return (state.sha256, state.mode, state.owner) == (self.sha256, self.mode, "root")
