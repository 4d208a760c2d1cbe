"""Where the container engine has its data on this host."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhost.runner.lib.files import read_state_json

CONFIG, DEFAULT = Path("/etc/docker/daemon.json"), "/var/lib/docker"


def engine_data() -> Path:
    """Its real path, by the `data-root` of daemon.json. Raises OSError."""
    root = read_state_json(CONFIG).get("data-root")
    return Path(os.path.realpath(root if isinstance(root, str) and root else DEFAULT))
