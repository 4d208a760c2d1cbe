"""Bind mounts: the path in a container of a file of the project."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from gpuhost.appfile.compose.short_forms import Volume


def container_path(path: str, mounts: Iterable[Volume]) -> str | None:
    """The path in the container; None if no bind mount contains it.

    + path: absolute, or relative to the source

    **Example:** with "./nginx:/etc/nginx/conf.d:ro", nginx/tls is /etc/nginx/conf.d/tls
    """
    file = posixpath.normpath(path)
    found = []
    for mount in mounts:
        # Only the host can tell what ${DIRECTORY} is.
        if not mount.source or "$" in f"{mount.source}{mount.target}":
            continue
        mounted = posixpath.normpath(mount.source)
        if file == mounted or file.startswith(f"{mounted.rstrip('/')}/"):
            found.append((len(mounted), mount.target, file[len(mounted) :]))
        elif mounted == "." and not file.startswith("/"):
            found.append((0, mount.target, f"/{file}"))
    if not found:
        return None
    _, target, rest = max(found)
    return posixpath.normpath(f"{target}/{rest}")


def is_of_source(path: str) -> bool:
    """Whether a path of the files is in the source: not of the host, and known."""
    return path.startswith("./") and "$" not in path
