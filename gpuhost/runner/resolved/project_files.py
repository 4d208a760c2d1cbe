"""Removes files of the project that no kept release mounts."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.runner.contract import AppPaths, read_text
from gpuhost.runner.lib.files import clear


def forget(app: AppPaths, kept: Iterable[str]) -> tuple[str, ...]:
    """+ kept: ids of releases

    Returns the digests that are removed.

    Raises OSError or ValueError if the model of a kept release cannot be read; then nothing is
    removed.
    """
    if not app.files.is_dir():
        return ()
    releases = [app.release(id_) for id_ in kept]
    # What runs counts too, if the model is lost.
    models = [model for one in releases for model in (one.resolved, one.runs)]
    used = "".join(read_text(model) for model in models if model.exists())
    removed = []
    for entry in sorted(app.files.iterdir()):
        # Its path is in the model of each release that mounts it.
        if f"{app.files}/{entry.name}/" not in used:
            clear(entry)
            removed.append(entry.name)
    return tuple(removed)
