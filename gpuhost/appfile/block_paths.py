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
from gpuhost.runner.contract import APPS, AppPaths, why_reserved

WILD = frozenset("*?[")
NO_FILE = ("", ".", "..")


def leading_out(block: XGpuhost, directory: str) -> Iterator[tuple[KeyPath, str | None]]:
    """Paths of the block that are outside of the source: the key, and the value if it has one."""
    for key_path, path, is_key in _paths(block):
        if not path.startswith("/") and leads_out(f"{directory}/{path}"):
            yield key_path, None if is_key else path


def refused(block: XGpuhost, app: str) -> Iterator[tuple[KeyPath, str | None, str]]:
    """Paths of the block that no app may name: the key, the value if it has one, and why.

    + app: its name
    """
    shared = str(AppPaths(APPS / app).shared)
    for key_path, path, is_key in _paths(block):
        of_logs = key_path[0] == "logs"
        directory, name = posixpath.split(path) if of_logs else (path, path)
        if of_logs and WILD & set(directory):
            reason = "* is for the name of a file; give each directory an entry of its own"
        elif of_logs and name in NO_FILE:
            reason = 'names no file; add it, such as "logs/*.log"'
        elif not path.startswith("/") and leads_out(path):
            continue  # of `leading_out`
        elif reason := why_reserved(posixpath.join(shared, directory), shared):
            reason += "; name a directory of the app alone, such as /srv/NAME, or a relative path"
        if reason:
            yield key_path, None if is_key else path, reason


def _paths(block: XGpuhost) -> Iterator[tuple[KeyPath, str, bool]]:
    for path in block.directories:
        yield ("directories", path), path, True
    for name, secret in block.secrets.items():
        if secret.path:
            yield ("secrets", name, "path"), secret.path, False
    for index, path in enumerate(block.logs.files):
        yield ("logs", "files", index), path, False
    for key in ("sqlite", "paths"):
        for index, path in enumerate(getattr(block.backup, key) if block.backup else ()):
            yield ("backup", key, index), path, False
    if block.nginx and block.nginx.config:
        yield ("nginx", "config"), block.nginx.config, False


def in_source(block: XGpuhost, directory: str) -> XGpuhost:
    """The block with its paths in the source, without . and .. in them."""

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
