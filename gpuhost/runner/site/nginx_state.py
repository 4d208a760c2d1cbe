"""What the app has on the host's nginx."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.files import write_json
from gpuhost.runner.state.release import Release

# Path -> text; None: there is no such file.
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
        """The site's file, also when a later release has none."""
        path = _load(self._now).get("path")
        return Path(path) if isinstance(path, str) else None

    @property
    def loaded(self) -> str:
        """The digest of what nginx last loaded."""
        return str(_load(self._now).get("loaded", ""))

    def loading(self, path: Path) -> None:
        """Until is_loaded says so, nobody knows which files nginx goes by."""
        write_json(self._now, {"path": str(path), "loaded": ""}, mode=0o600)

    def is_loaded(self, digest: str) -> None:
        write_json(self._now, {**_load(self._now), "loaded": digest}, mode=0o600)

    @property
    def _now(self) -> Path:
        return self.home / "nginx.json"


def _load(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
