"""Where a container sees a file of the project directory."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any


def container_path(path: str, volumes: Sequence[str | Mapping[str, Any]]) -> str | None:
    """The path inside the container; None if no bind mount holds it.

    + path: absolute, or relative to the project directory
    + volumes: as the Compose file has them

    **Example:** with "./nginx:/etc/nginx/conf.d:ro", nginx/tls is /etc/nginx/conf.d/tls
    """
    wanted = _normal(path)
    found = []
    for source, target in map(_ends, volumes):
        mounted = _normal(source)
        if source and (wanted == mounted or wanted.startswith(f"{mounted.rstrip('/')}/")):
            found.append((len(mounted), target, wanted[len(mounted) :]))
        elif source and mounted == "." and not wanted.startswith("/"):
            found.append((0, target, f"/{wanted}"))
    if not found:
        return None
    _, target, rest = max(found)
    return posixpath.normpath(f"{target}/{rest}")


def _ends(volume: str | Mapping[str, Any]) -> tuple[str, str]:
    """Source and target of a bind mount; a source of "" for everything else."""
    if isinstance(volume, Mapping):
        source, target = volume.get("source"), volume.get("target")
        is_bind = volume.get("type") == "bind" and "$" not in f"{source}{target}"
        return (str(source or ""), str(target)) if is_bind else ("", "")
    source, _, rest = volume.partition(":")
    target = rest.partition(":")[0]
    # A name without a slash in front is a volume's.
    is_bind = source.startswith(("/", ".")) and target.startswith("/")
    # Where ${DIRECTORY} leads is the host's affair.
    return (source, target) if is_bind and "$" not in volume else ("", "")


def _normal(path: str) -> str:
    return posixpath.normpath(path)
