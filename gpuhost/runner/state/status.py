"""The state of an app on its host."""

from __future__ import annotations

from dataclasses import asdict

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.state import results
from gpuhost.runner.state.lock import is_locked
from gpuhost.runner.state.operations import begun
from gpuhost.runner.state.releases import current_id, in_order


def status(app: AppPaths) -> dict[str, object]:
    """The current release, the operation in progress, and all results, as JSON."""
    operation = begun(app)
    read = (results.read(app.release(id_).result) for id_ in in_order(app))
    ended = [result for result in read if result]
    return {
        "app": app.home.name,
        "current": current_id(app) or None,
        "attempt": {**asdict(operation), "running": is_locked(app)} if operation else None,
        "releases": [
            {key: value for key, value in asdict(result).items() if key not in ("output", "logs")}
            for result in ended
        ],
    }
