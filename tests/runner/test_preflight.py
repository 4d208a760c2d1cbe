"""Preflight on the host: conditions of a release; each failure stops it before any change."""

from __future__ import annotations

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Secret
from gpuhost.runner.stages.preflight import check
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]


def test_docker_does_not_answer(app: App, programs: Programs) -> None:
    programs.answer("docker version", err="Cannot connect to the Docker daemon\n", status=1)
    with pytest.raises(Failure, match="Docker does not answer") as raised:
        check(app.release())
    assert raised.value.output == ("Cannot connect to the Docker daemon",)


def test_all_missing_secrets_are_named(app: App, programs: Programs) -> None:
    secrets = (
        Secret("GIVEN"),
        Secret("MISSING"),
        Secret("MADE", generate="hex"),
        Secret("OF_OTHERS", value="${GIVEN}:${MADE}:${NOBODYS}"),
    )
    with pytest.raises(Failure) as raised:
        check(app.release(given={"GIVEN": "s3cret"}, secrets=secrets))
    assert raised.value.said == "secrets are missing: MISSING, NOBODYS (in OF_OTHERS)"
    assert raised.value.fix
