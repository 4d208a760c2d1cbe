"""Stores results: a line in the app's history, which says that an operation has ended, and
result.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from gpuhost.runner.contract import (
    NOT_THERE,
    RESTORE,
    AppPaths,
    Operation,
    Result,
    from_json,
    read_state,
)
from gpuhost.runner.lib.files import append, make_way, read_state_json, write_json
from gpuhost.runner.state import operations
from gpuhost.runner.state.release import Release


def store(app: AppPaths, result: Result) -> None:
    """The line first: with it the operation has ended."""
    make_way(app.history)
    line = {k: v for k, v in asdict(result).items() if k not in ("output", "logs")}
    append(app.history, json.dumps(line, ensure_ascii=False))
    _store_file(app, result)


def _store_file(app: AppPaths, result: Result) -> None:
    paths = app.operation(result.id)
    # A directory that is gone has no place for it.
    if paths.home.is_dir():
        write_json(paths.result, asdict(result))


def ended(app: AppPaths, operation: Operation) -> Result | None:
    """How this operation ended; None: it has not, and is carried out.

    A result.json that is lost or damaged is written again from the history. Raises OSError.
    """
    stored = read(app.operation(operation.id).result)
    if stored and _is_of(stored, operation):
        return stored
    begun = operations.begun(app)
    if begun is None or begun.id != operation.id:
        return None
    result = next((one for one in _newest_first(app) if _is_of(one, operation)), None)
    if result:
        _store_file(app, result)
    return result


def _is_of(result: Result, operation: Operation) -> bool:
    """A backup can be restored again; a release has an id of its own."""
    is_again = operation.kind == RESTORE and result.started != operation.started
    return result.id == operation.id and not is_again


def _newest_first(app: AppPaths) -> Iterator[Result]:
    try:
        lines = read_state(app.history).splitlines()
    except (*NOT_THERE, ValueError):
        return
    for line in reversed(lines):
        try:
            yield from_json(Result, json.loads(line))
        except (ValueError, TypeError, RecursionError):
            # Of a removal, or damaged.
            continue


def write_draft(release: Release, result: Result) -> None:
    """Store why the release is undone, for a runner that continues the undo."""
    write_json(_draft(release), asdict(result))


def read_draft(release: Release) -> Result | None:
    return read(_draft(release))


def _draft(release: Release) -> Path:
    return release.paths.result.with_name("result.draft.json")


def read(path: Path) -> Result | None:
    """None if the file is missing or damaged. Raises OSError: a read error may be temporary."""
    try:
        return from_json(Result, read_state_json(path))
    except (ValueError, TypeError):
        return None
