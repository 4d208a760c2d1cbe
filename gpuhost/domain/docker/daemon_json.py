"""daemon.json: gpuhost merges its keys in, and keeps all others.

Keys are written as paths, "log-opts.max-size": what gpuhost wrote is on record by path, so that a
setting that is removed removes its key, and a key that a person wrote is never lost.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
        return json.dumps(self.values, indent=4, ensure_ascii=False) + "\n"


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
        if exists and actual != value and path not in before and not adopt:
            text = json.dumps(actual, ensure_ascii=False)
            conflicts.append(f"{path} is {redact_credentials(text)}")
            continue
        _place(values, path, value)
        written.append(path)
    return Merge(values, tuple(sorted(written)), tuple(conflicts))


def differences(present: Values, declared: dict[str, Any]) -> list[str]:
    """The paths that are missing or differ."""
    return [path for path, value in declared.items() if _look_up(present, path) != (True, value)]


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
