"""What has to be so when a release begins; each reason ends it before anything is changed."""

from __future__ import annotations

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Secret
from gpuhost.runner.stages.preflight import check
from tests.runner.at_hand import App, Programs, app, programs

__all__ = ["app", "programs"]


def test_an_engine_that_does_not_answer(app: App, programs: Programs) -> None:
    programs.answer("docker version", err="Cannot connect to the Docker daemon\n", status=1)
    with pytest.raises(Failure, match="Docker does not answer") as raised:
        check(app.release())
    assert raised.value.output == ("Cannot connect to the Docker daemon",)


def test_secrets_that_are_missing_are_named_all_at_once(app: App, programs: Programs) -> None:
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
