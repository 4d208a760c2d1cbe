"""The block's paths of the project directory, as paths in the source.

In the block a path is relative to the directory of the first Compose file, as in that file itself.
"""

from __future__ import annotations

import posixpath
from typing import Any

from gpuhost.appfile.model import XGpuhost


def placed(block: XGpuhost, directory: str) -> XGpuhost:
    """The block with its paths in the source; the same block if that is the project directory."""
    if directory == ".":
        return block

    def inside(path: str) -> str:
        return path if path.startswith("/") else posixpath.normpath(f"{directory}/{path}")

    update: dict[str, Any] = {
        "directories": {inside(path): value for path, value in block.directories.items()},
        "logs": block.logs.model_copy(update={"files": tuple(map(inside, block.logs.files))}),
        "secrets": {
            name: secret.model_copy(update={"path": secret.path and inside(secret.path)})
            for name, secret in block.secrets.items()
        },
    }
    if block.backup:
        paths = {key: tuple(map(inside, getattr(block.backup, key))) for key in ("sqlite", "paths")}
        update["backup"] = block.backup.model_copy(update=paths)
    if block.nginx and block.nginx.config:
        update["nginx"] = block.nginx.model_copy(update={"config": inside(block.nginx.config)})
    return block.model_copy(update=update)
