"""daemon.json: gpuhost merges its keys in, and keeps all others.

Keys are written as paths, "log-opts.max-size": what gpuhost wrote is on record by path, so that a
setting that is removed removes its key, and a key that a person wrote is never lost.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from gpuhost.domain.redact import redact_credentials

Values = dict[str, Any]


@dataclass(frozen=True)
class Merge:
    """What daemon.json becomes.

    + values: the whole object
    + owned: paths of the keys that gpuhost wrote
    + conflicts: keys that a person set to another value, not changed: "log-driver is 'local'"
    """

    values: Values
    owned: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def text(self) -> str:
        return render(self.values)


def render(values: Values) -> str:
    """daemon.json's text; half of a character, which JSON can write, stays escaped."""
    text = json.dumps(values, indent=4, ensure_ascii=False) + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return json.dumps(values, indent=4) + "\n"
    return text


def merge(present: Values, declared: dict[str, Any], owned: Iterable[str], *, adopt: bool) -> Merge:
    """Merge our keys into daemon.json.

    + present: daemon.json as it is
    + declared: our keys, by path
    + owned: paths that gpuhost wrote last time
    + adopt: also replace what a person set
    """
    values = copy.deepcopy(present)
    before = frozenset(owned)
    for path in before - declared.keys():
        _drop(values, path)
    conflicts: list[str] = []
    written = []
    for path, value in declared.items():
        # Options of another logging driver are not ours.
        if path.startswith("log-opts.") and any(c.startswith("log-driver") for c in conflicts):
            continue
        exists, actual = _look_up(values, path)
        if exists and actual != value and is_same(path, actual, value):
            written += [path] if path in before else []
            continue
        if exists and actual != value and path not in before and not adopt:
            text = json.dumps(actual, ensure_ascii=False)
            conflicts.append(f"{path} is {redact_credentials(text)}")
            continue
        _place(values, path, value)
        written.append(path)
    return Merge(values, tuple(sorted(written)), tuple(conflicts))


def differences(present: Values, declared: dict[str, Any]) -> list[str]:
    """The paths that are missing or differ."""
    looked_up = ((path, value, *_look_up(present, path)) for path, value in declared.items())
    return [
        path
        for path, value, exists, actual in looked_up
        if not exists or not is_same(path, actual, value)
    ]


def is_same(path: str, actual: Any, declared: Any) -> bool:
    """Whether both mean the same to dockerd, however they are written."""
    return bool(_meaning(path, actual) == _meaning(path, declared))


def _meaning(path: str, value: Any) -> Any:
    if path == "data-root" and isinstance(value, str):
        return normpath(value)
    if path == "registry-mirrors" and isinstance(value, list):
        return [each.rstrip("/") if isinstance(each, str) else each for each in value]
    if path.startswith("runtimes.") and isinstance(value, dict):
        # moby reads `runtimeArgs`; `args`, which nvidia-ctk writes, is none of its keys. A bare
        # name is looked up in PATH.
        settings = {
            key: each
            for key, each in value.items()
            if key != "args" and each not in (None, [], {}, "")
        }
        if isinstance(settings.get("path"), str):
            settings["path"] = re.sub("^/(usr/)?bin/", "", settings["path"])
        return settings
    return value


def _steps(path: str) -> Iterator[str]:
    # Only the first dot divides: a feature's name may have dots of its own.
    head, dot, rest = path.partition(".")
    yield head
    if dot:
        yield rest


def _look_up(values: Values, path: str) -> tuple[bool, Any]:
    current: Any = values
    for step in _steps(path):
        if not isinstance(current, dict) or step not in current:
            return False, None
        current = current[step]
    return True, current


def _place(values: Values, path: str, value: Any) -> None:
    *parents, last = _steps(path)
    current = values
    for step in parents:
        if not isinstance(current.get(step), dict):
            current[step] = {}
        current = current[step]
    current[last] = copy.deepcopy(value)


def _drop(values: Values, path: str) -> None:
    head, *rest = _steps(path)
    if not rest:
        values.pop(head, None)
        return
    inner = values.get(head)
    if isinstance(inner, dict):
        inner.pop(rest[0], None)
        if not inner:
            del values[head]
