"""Fixtures of tests that verify a release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import HttpRequest, Verify, VerifyStep
from gpuhost.runner.stages import verification
from gpuhost.runner.stages.verification import verify
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs
from tests.runner.site import Site, serve

LOG = VerifyStep("it listens", 0, log=r"Running on http://\S+:7860", service="web")
COMMAND = VerifyStep("torch sees the GPU", 1, command=("python3", "-c", "assert 0"), service="web")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> None:
    monkeypatch.setattr(verification, "PAUSE", 0.01)
    programs.compose({"web": {}})


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as made:
        yield made


def a_release(app: App, *steps: VerifyStep, release_id: str = NEW, **plan: Any) -> Release:
    return app.release(release_id, verify=Verify(steps=steps), **plan)


def asking(url: str, within_s: int = 0, through: str = "", **request: Any) -> VerifyStep:
    return VerifyStep("it answers", within_s, request=HttpRequest(url, **request), through=through)


def failure(release: Release, through: bool = False) -> Failure:
    with pytest.raises(Failure) as raised:
        verify(release, through)
    return raised.value
