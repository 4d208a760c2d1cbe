"""An app that prints its secrets is named, with their names only."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gpuhost.runner.stages.printed_secrets import warn
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

VALUE = "hunter2-secret"
GIVEN = {"DB_PASSWORD": VALUE, "OTHER": "never-printed", "PIN": "123"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (f"connecting to postgres://app:{VALUE}@db/app", "DB_PASSWORD"),
        (base64.b64encode(f"app:{VALUE}".encode()).decode(), "DB_PASSWORD"),
        (f"{VALUE} never-printed", "DB_PASSWORD, OTHER"),
        ("pin 123, password ***", ""),
        ("", ""),
    ],
)
def test_a_secret_in_the_log_of_a_service(
    app: App, programs: Programs, line: str, named: str
) -> None:
    programs.compose({"web": {}, "db": {}})
    programs.answer("docker compose * logs * web", f"starting\n{line}\nready\n")
    programs.answer("docker compose * logs * db", "ready\n")
    release = app.release(given=GIVEN)
    warn(release)
    warnings = [line for line in app_log(release.paths.log) if "warning" in line]
    assert [line.split(" in its log")[0][9:] for line in warnings] == (
        [f"warning: web prints {named}"] if named else []
    )
    assert VALUE not in "".join(warnings)


def test_without_secrets_no_log_is_read(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    warn(app.release(given={"PIN": "123"}))
    assert programs.called("logs") == []


def app_log(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
