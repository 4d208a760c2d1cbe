"""Proxies that are not set: an empty value would hide the host's own."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

from gpuhost.runner.contract import is_proxy
from gpuhost.runner.docker.resolved_model import Model, running


def without_unset_proxies(model: Model, unset: Collection[str]) -> tuple[Model, tuple[str, ...]]:
    """The model, where Docker adds the proxies of its client, and notes for the log.

    + unset: variables without a value
    """
    names = {name.upper() for name in unset if is_proxy(name)}
    if not names:
        return model, ()
    changed, notes = deepcopy(model), []
    for name, section in running(changed).items():
        build = section.get("build") or {}
        dropped: set[str] = set()
        for values in (section.get("environment") or {}, build.get("args") or {}):
            empty = [key for key, value in values.items() if key.upper() in names and not value]
            dropped.update(empty)
            for key in empty:
                del values[key]
        if dropped:
            notes.append(f"{name}: {', '.join(sorted(dropped))}: not set: the host's value is used")
    return changed, tuple(notes)
