"""The downtime of an app: how long it did not answer since the first change."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gpuhost.runner.plan import HttpRequest, Verify, VerifyStep
from gpuhost.runner.stages import downtime
from gpuhost.runner.stages.downtime import Downtime, union_s
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


def test_every_health_address_counts(app: App, site: Site) -> None:
    """Two addresses are down one after the other; one did not answer before, one is no GET."""
    site.says("/ready", "good")
    site.says("/new", "bad gateway", 502)
    site.says("/audio", "{}")
    urls = [HttpRequest(site.url(path)) for path in ("/health", "/ready", "/new", "/health")]
    urls += [HttpRequest(site.url("/audio"), then="url"), HttpRequest(site.url("/say"), "POST")]
    steps = tuple(VerifyStep("it answers", request=request) for request in urls)
    release = app.release(verify=Verify(steps=steps))
    with Downtime(release) as measuring:
        measuring.begin()
        for path in ("/health", "/ready"):
            site.says(path, "bad gateway", 502)
            time.sleep(0.3)
            site.says(path, "good")
        time.sleep(0.1)
    assert 0.4 <= (measuring.seconds or 0) <= 0.9
    assert {asked.path for asked in site.asked} == {"/health", "/ready", "/new"}
    assert len([asked for asked in site.asked if asked.path == "/new"]) == 1
    (line,) = release.paths.log.read_text().splitlines()
    assert f"{site.url('/health')} 0." in line
    assert f"{site.url('/ready')} 0." in line
    assert "/new" not in line


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([], 0),
        ([(1, 2)], 1),
        ([(1, 2), (2, 3)], 2),
        ([(5, 6), (1, 4), (2, 3)], 4),
        ([(1, 3), (1, 3), (2, 5)], 4),
    ],
)
def test_time_without_an_answer_counts_once(
    intervals: list[tuple[float, float]], seconds: float
) -> None:
    assert union_s(intervals) == seconds


def test_an_app_that_did_not_answer_before_has_no_downtime(app: App, site: Site) -> None:
    site.says("/health", "bad gateway", 502)
    with measured(app, site) as measuring:
        measuring.begin()
    assert measuring.seconds is None
    assert Downtime(app.release("20260103-000000-cccccccc")).seconds is None


@pytest.mark.parametrize(
    "endless", [b"HTTP/1.1 200 " + b"O" * 9, b"HTTP/1.1 200 OK\r\nX: a", b"HTTP/1.1 100 C\r\n\r\n"]
)
def test_an_answer_without_end_is_none(
    app: App, monkeypatch: pytest.MonkeyPatch, endless: bytes
) -> None:
    """It is asked in the main thread, which nothing else would end."""
    monkeypatch.setattr(downtime, "TIMEOUT", 0.2)
    monkeypatch.setattr(downtime, "PAUSE", 0.01)
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        taken, _ = server.accept()
        with taken, suppress(OSError):
            taken.sendall(endless)
            while not ended.wait(0.05):
                taken.sendall(endless if b" 100 " in endless else endless[-1:])

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=(server,), daemon=True)
        dripping.start()
        request = HttpRequest(f"http://127.0.0.1:{server.getsockname()[1]}/health")
        verify = Verify(steps=(VerifyStep("it answers", request=request),))
        with Downtime(app.release(verify=verify)) as measuring:
            measuring.begin()
        ended.set()
        dripping.join()
    assert measuring.seconds is None


def test_a_redirect_is_an_answer_and_is_not_followed(app: App, site: Site) -> None:
    """An app could have root call another service of the host."""
    site.replies["/health"] = (302, {"Location": site.url("/-/quit")}, b"")
    with measured(app, site) as measuring:
        measuring.begin()
        time.sleep(0.1)
    assert {one.path for one in site.asked} == {"/health"}
    assert measuring.seconds == 0.0
