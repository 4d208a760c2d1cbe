"""The path in a container of a file of the project directory."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any


def container_path(path: str, volumes: Sequence[str | Mapping[str, Any]]) -> str | None:
    """The path in the container; None if no bind mount contains it.

    + path: absolute, or relative to the project directory
    + volumes: as in the Compose file

    **Example:** with "./nginx:/etc/nginx/conf.d:ro", nginx/tls is /etc/nginx/conf.d/tls
    """
    file = _normal(path)
    mounts = []
    for source, target in map(_ends, volumes):
        mounted = _normal(source)
        if source and (file == mounted or file.startswith(f"{mounted.rstrip('/')}/")):
            mounts.append((len(mounted), target, file[len(mounted) :]))
        elif source and mounted == "." and not file.startswith("/"):
            mounts.append((0, target, f"/{file}"))
    if not mounts:
        return None
    _, target, rest = max(mounts)
    return posixpath.normpath(f"{target}/{rest}")


def _ends(volume: str | Mapping[str, Any]) -> tuple[str, str]:
    """Source and target of a bind mount; ("", "") for any other volume."""
    if isinstance(volume, Mapping):
        source, target = volume.get("source"), volume.get("target")
        is_bind = volume.get("type") == "bind" and "$" not in f"{source}{target}"
        return (str(source or ""), str(target)) if is_bind else ("", "")
    source, _, rest = volume.partition(":")
    target = rest.partition(":")[0]
    # A name without a slash is a volume's.
    is_bind = source.startswith(("/", ".")) and target.startswith("/")
    # Only the host can resolve ${DIRECTORY}.
    return (source, target) if is_bind and "$" not in volume else ("", "")


def _normal(path: str) -> str:
    return posixpath.normpath(path)
