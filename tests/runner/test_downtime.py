"""The downtime of an app: how long it did not answer since the first change."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gpuhost.runner.plan import HttpRequest, Verify, VerifyStep
from gpuhost.runner.stages import downtime
from gpuhost.runner.stages.downtime import Downtime
from tests.runner.host_fixtures import App, app
from tests.runner.site import Site, serve

__all__ = ["app"]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(downtime, "PAUSE", 0.01)
    with serve() as made:
        made.says("/health", "good")
        yield made


def measured(app: App, site: Site) -> Downtime:
    step = VerifyStep("it answers", request=HttpRequest(site.url("/health")))
    return Downtime(app.release(verify=Verify(steps=(step,))))


def test_no_request_is_sent_before_the_first_change(app: App, site: Site) -> None:
    with measured(app, site) as measuring:
        time.sleep(0.1)
        assert site.asked == []
        measuring.begin()
        measuring.begin()
    assert site.asked
    assert measuring.seconds == 0.0


def test_the_time_without_an_answer_is_counted(app: App, site: Site) -> None:
    with measured(app, site) as measuring:
        measuring.begin()
        site.says("/health", "bad gateway", 502)
        time.sleep(0.3)
        site.says("/health", "not found, from the app", 404)
        time.sleep(0.3)
    assert 0.2 <= (measuring.seconds or 0) <= 0.5


def test_an_app_that_did_not_answer_before_has_no_downtime(app: App, site: Site) -> None:
    site.says("/health", "bad gateway", 502)
    with measured(app, site) as measuring:
        measuring.begin()
    assert measuring.seconds is None
    assert Downtime(app.release("20260103-000000-cccccccc")).seconds is None
