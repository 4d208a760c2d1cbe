"""A release's containers are started: those of its profiles, as many as the app file says."""

from __future__ import annotations

import pytest

from gpuhost.runner import activation
from gpuhost.runner.failure import Failure
from tests.runner.at_hand import App, Programs, app, programs

__all__ = ["app", "programs"]

UP = "docker compose up -d --no-build --remove-orphans"


def ups(programs: Programs) -> list[str]:
    return [line for line in programs.calls if " up " in line]


def test_services_that_are_left_out_are_not_started(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "worker": {}, "docs": {}})
    activation.start(app.release(leave_out=("docs",), scale={"worker": 3}))
    assert ups(programs) == [f"{UP} --scale=worker=3 api worker"]


def test_what_this_host_does_not_run_is_not_scaled(app: App, programs: Programs) -> None:
    """Compose refuses it: "no such service: cpu-worker: disabled"."""
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "docs": {}})
    activation.start(app.release(leave_out=("docs",), scale={"cpu-worker": 2, "docs": 2, "api": 2}))
    assert ups(programs) == [f"{UP} --scale=api=2 api"]


def test_compose_that_refuses_is_quoted(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker compose * up *", status=1, out="no such image: gpuhost/app/api:0123")
    with pytest.raises(Failure, match="docker compose up: no such image"):
        activation.start(app.release())
