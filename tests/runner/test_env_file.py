"""The env file: the values of ${NAME} in the user's Compose file."""

from __future__ import annotations

import re
import stat

import pytest

from gpuhost.runner.data import secrets
from gpuhost.runner.data.env_file import text
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate, Secret
from gpuhost.runner.stages.render import render
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs
from tests.runner.test_render import HOSTILE

__all__ = ["app", "programs"]

MORE_HOSTILE = (
    "",
    "$",
    "${A:?no}",
    "\\",
    "\\\\",
    "\\'",
    '\\"',
    "\\$x",
    "\\0123",
    "cr\r\nlf\r",
    "'",
)
# compose-go's dotenv, in double quotes: a backslash escapes the quote, then escape sequences are
# replaced, then variables, where $$ is a dollar.
LINE = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"\n', re.DOTALL)
ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0\d{0,3})')
MEANS = {r"\n": "\n", r"\r": "\r", r"\\": "\\", r"\$": "$$"}


def as_compose_reads(written: str) -> dict[str, str]:
    values = {}
    rest = written.replace("\r\n", "\n")
    while rest:
        line = LINE.match(rest)
        assert line, rest
        value = _unquoted(line[2])
        value = ESCAPE.sub(lambda escape: MEANS[escape[0]], value)
        assert not re.search(r"(?<!\$)(?:\$\$)*\$(?!\$)", value), "a variable would be put in"
        values[line[1]] = value.replace("$$", "$")
        rest = rest[line.end() :]
    return values


def _unquoted(value: str) -> str:
    return re.sub(
        r"\\(.)", lambda match: '"' if match[1] == '"' else match[0], value, flags=re.DOTALL
    )


def env_file(release: Release) -> dict[str, str]:
    return as_compose_reads(release.paths.env.read_bytes().decode())


@pytest.mark.parametrize("value", (*HOSTILE, *MORE_HOSTILE))
def test_any_value_is_read_back_unchanged(value: str) -> None:
    assert as_compose_reads(text({"B": "after", "A": value})) == {"A": value, "B": "after"}


def test_compose_gets_every_secret_except_internal_ones(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    declared = (
        Secret("GIVEN"),
        Secret("ONE", services=("web",)),
        Secret("TOKEN", internal=True),
        Secret("MADE", generate="hex"),
        Secret("URL", value="x://${MADE}"),
    )
    release = app.release(secrets=declared, given={"GIVEN": "g", "ONE": "1", "TOKEN": "t"})
    render(release)
    made = secrets.values(release)["MADE"]
    assert env_file(release) == {"GIVEN": "g", "ONE": "1", "MADE": made, "URL": f"x://{made}"}
    assert stat.S_IMODE(release.paths.env.stat().st_mode) == 0o600


def test_the_env_file_exists_before_compose_first_runs(app: App, programs: Programs) -> None:
    """Otherwise Compose refuses ${NAME:?}."""
    release = app.release(secrets=(Secret("A", generate="hex"),), given={})
    if_missing = f"grep -q A= {release.paths.env} || exit 15"
    programs.answer("docker compose * config *", '{"services": {"web": {}}}', then=if_missing)
    for _ in range(2):
        release.paths.env.unlink(missing_ok=True)
        asked = len(programs.called("docker"))
        render(Release.open(app.paths, release.plan.id))
        assert len(programs.called("docker")) > asked


def test_a_generated_secret_is_kept(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    release = app.release(secrets=(Secret("A", generate="hex"),))
    render(release)
    first = env_file(release)
    assert secrets.values(Release.open(app.paths, release.plan.id)) == first
    render(release)
    assert env_file(release) == first


def test_a_nul_is_refused_and_nothing_is_written(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    release = app.release(secrets=(Secret("A"),), given={"A": "hidden\0value"})
    with pytest.raises(Failure, match="A contains a NUL"):
        render(release)
    assert not release.paths.env.exists()


def test_no_secret_is_an_argument_or_in_the_environment(app: App, programs: Programs) -> None:
    value = "planted-value"
    fail_if_in_environment = f"if env | grep -q {value}; then exit 9; fi"
    services = '{"services": {"web": {}, "migrate": {}}}'
    programs.answer("docker *", services, then=fail_if_in_environment)
    release = app.release(secrets=(Secret("A"),), given={"A": value}, migrate=Migrate("migrate"))
    render(release)
    assert programs.calls
    assert not any(value in call for call in programs.calls)


@pytest.mark.parametrize(
    ("value", "complaint", "shown"),
    [
        # Errors of Compose 2.26.
        ("hostile-1:tail-part/x", "Invalid containerPort: tail-part", "Invalid containerPort: ***"),
        ("hostile-1:tail-part", "undefined volume hostile-1: in", "undefined volume ***: in"),
        ('say "hostile"', 'parsing "say \\"hostile\\"": invalid', 'parsing "***": invalid'),
        ("first-line\rother-line", "invalid\nother-line", "invalid|***"),
        # Text of the app file is not a secret.
        ("db-service:hostile", "undefined db-service: hostile", "undefined db-service: ***"),
    ],
)
def test_errors_of_compose_show_no_part_of_a_secret(
    app: App, programs: Programs, value: str, complaint: str, shown: str
) -> None:
    programs.answer("docker compose * config *", status=15, err=complaint + "\n")
    release = app.release(secrets=(Secret("A"),), given={"A": value})
    release.paths.compose.write_text("services: {db-service: {}}\n")
    with pytest.raises(Failure) as raised:
        render(release)
    assert raised.value.output == tuple(shown.split("|"))
    logged = release.paths.log.read_text()
    assert all(line in logged for line in shown.split("|"))
    assert "hostile" not in logged
    assert "tail-part" not in logged


def test_the_output_of_compose_config_is_not_logged(app: App, programs: Programs) -> None:
    programs.answer("docker compose * config *", '{"services": {"a": {"image": "printed"}}}')
    release = app.release(secrets=(Secret("A"),), given={"A": "planted-value"})
    release.log.write("begun")
    render(release)
    assert "printed" not in release.paths.log.read_text()
