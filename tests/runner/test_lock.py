"""One at a time: who is refused, who waits, and that to look does not get in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.state.lock import Locked, is_locked, lock
from gpuhost.runner.state.operations import begin
from tests.runner.at_hand import NEW, App, app

__all__ = ["app"]


@pytest.fixture
def held(app: App) -> Iterator[threading.Timer]:
    """Somebody has the lock, until the timer, once it is started, is over."""
    over, has_it = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(app.paths):
            has_it.set()
            over.wait(60)

    holder, timer = threading.Thread(target=hold), threading.Timer(0.5, over.set)
    holder.start()
    assert has_it.wait(60)
    yield timer
    timer.cancel()
    over.set()
    holder.join()


def test_a_backup_is_waited_for(app: App, held: threading.Timer) -> None:
    said: list[str] = []
    held.start()
    with lock(app.paths, patience=60, waits=lambda: said.append("waits")):
        assert said == ["waits"]


def test_a_backup_that_does_not_end_is_said(app: App, held: threading.Timer) -> None:
    with pytest.raises(Locked, match="a backup"), lock(app.paths, patience=0.5):
        pass


def test_whoever_has_begun_is_named_at_once(app: App, held: threading.Timer) -> None:
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    began = time.monotonic()
    with pytest.raises(Locked, match=f"release {NEW} by ada@desk"), lock(app.paths, patience=60):
        pass
    assert time.monotonic() - began < 10


def test_to_look_is_not_to_take(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_locked(app.paths)
    with lock(app.paths):
        assert is_locked(app.paths)
    monkeypatch.setattr("fcntl.flock", None)
    assert not is_locked(app.paths)
