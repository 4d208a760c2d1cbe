"""The block's paths of the project directory, as paths in the source.

In the block a path is relative to the directory of the first Compose file, as in that file itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.document import KeyPath
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


def paths_outside(block: XGpuhost, directory: str) -> Iterator[tuple[KeyPath, str]]:
    """Key and path of what leads out of the source: shared/ mirrors no more than that.

    + directory: of the first Compose file, in the source
    """
    for key_path, path in _relative_paths(block):
        if not path.startswith("/") and leads_out(posixpath.normpath(f"{directory}/{path}")):
            yield key_path, path


def _relative_paths(block: XGpuhost) -> Iterator[tuple[KeyPath, str]]:
    yield from ((("directories", path), path) for path in block.directories)
    yield from _listed(("logs", "files"), block.logs.files)
    if block.backup:
        yield from _listed(("backup", "sqlite"), block.backup.sqlite)
        yield from _listed(("backup", "paths"), block.backup.paths)
    for name, secret in block.secrets.items():
        if secret.path:
            yield ("secrets", name, "path"), secret.path
    if block.nginx and block.nginx.config:
        yield ("nginx", "config"), block.nginx.config


def _listed(key_path: KeyPath, paths: tuple[str, ...]) -> Iterator[tuple[KeyPath, str]]:
    yield from (((*key_path, index), path) for index, path in enumerate(paths))
