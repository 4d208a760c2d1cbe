"""The state of the app's site on the host's nginx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.files import read_json, write_json
from gpuhost.runner.state.release import Release

# Path -> text; None: no file.
Files = dict[Path, str | None]


@dataclass(frozen=True)
class State:
    """nginx.json in the app's directory."""

    home: Path

    @classmethod
    def of(cls, release: Release) -> State:
        return cls(release.app.home)

    @property
    def path(self) -> Path | None:
        """The site's file, even if the current release has no site."""
        path = read_json(self._file).get("path")
        return Path(path) if isinstance(path, str) and path.isprintable() else None

    @property
    def loaded(self) -> str:
        """The digest of the files that nginx has loaded; "": unknown."""
        return str(read_json(self._file).get("loaded", ""))

    def set_loading(self, path: Path) -> None:
        """The loaded files are unknown until set_loaded."""
        write_json(self._file, {"path": str(path), "loaded": ""}, mode=0o600)

    def set_loaded(self, digest: str) -> None:
        write_json(self._file, {**read_json(self._file), "loaded": digest}, mode=0o600)

    @property
    def _file(self) -> Path:
        return self.home / "nginx.json"
