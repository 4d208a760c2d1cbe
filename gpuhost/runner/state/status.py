"""The state of an app on its host."""

from __future__ import annotations

from dataclasses import asdict

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.state import results
from gpuhost.runner.state.lock import is_locked
from gpuhost.runner.state.operations import unfinished


def status(app: AppPaths) -> dict[str, object]:
    """The current release, the operation in progress, and all results, as JSON."""
    operation = unfinished(app)
    homes = sorted(path for path in app.releases.glob("*") if not path.name.startswith("."))
    ended = [result for path in homes if (result := results.read(path / "result.json"))]
    return {
        "app": app.home.name,
        "current": app.current.resolve().name if app.current.exists() else None,
        "attempt": {**asdict(operation), "running": is_locked(app)} if operation else None,
        "releases": [
            {key: value for key, value in asdict(result).items() if key not in ("output", "logs")}
            for result in ended
        ],
    }
