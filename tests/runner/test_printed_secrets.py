"""An app that prints its secrets is named, with their names only."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gpuhost.runner.stages import printed_secrets
from gpuhost.runner.stages.printed_secrets import warn
from gpuhost.runner.state.container import Before
from tests.cpu_budget import cpu_budget
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


KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *("qZ7+/" * 12 for _ in range(26))])
# Each begins like the key, many times.
HOSTILE = f"{chr(92) * 8}{KEY[:3]}%25%25&#" * 500_000


def test_a_large_log_is_read_in_part(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    start = f"password {VALUE}\n"
    app.paths.home.joinpath("log").write_text(start + HOSTILE + "\n" + "never-printed\n" * 1000)
    programs.answer("docker compose * logs *", then=f"cat {app.paths.home}/log")
    release = app.release(given={**GIVEN, **{f"KEY{n}": f"{KEY}{n}" for n in range(5)}})
    with cpu_budget():
        warn(release)
    assert "web prints DB_PASSWORD, OTHER in its log" in release.paths.log.read_text()


def test_after_its_time_the_release_goes_on(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printed_secrets, "SECONDS", 0)
    programs.compose({"web": {}})
    programs.answer("docker compose * logs *", VALUE)
    release = app.release(given=GIVEN)
    warn(release)
    assert "not looked for secrets in the log of web" in release.paths.log.read_text()


def test_if_the_clock_was_set_back_all_of_the_log_is_read(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    programs.answer("docker compose * logs *", VALUE)
    programs.answer("docker compose * logs *--since*", "")
    release = app.release(given=GIVEN)
    release.before = Before("2999-01-01T00:00:00+00:00")
    warn(release)
    assert "web prints DB_PASSWORD" in release.paths.log.read_text()


def test_without_secrets_no_log_is_read(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    warn(app.release(given={"PIN": "123"}))
    assert programs.called("logs") == []


def app_log(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
