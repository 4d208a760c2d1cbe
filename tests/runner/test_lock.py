"""The lock of an app: what is refused, what waits, and that a look does not take it."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.state.lock import Locked, is_locked, lock
from gpuhost.runner.state.operations import begin
from tests.runner.host_fixtures import NEW, App, app

__all__ = ["app"]


@pytest.fixture
def held(app: App) -> Iterator[threading.Timer]:
    """Another thread holds the lock, until the timer has been started and has ended."""
    over, has_lock = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(app.paths):
            has_lock.set()
            over.wait(60)

    holder, timer = threading.Thread(target=hold), threading.Timer(0.5, over.set)
    holder.start()
    assert has_lock.wait(60)
    yield timer
    timer.cancel()
    over.set()
    holder.join()


def test_the_lock_waits_for_a_backup(app: App, held: threading.Timer) -> None:
    calls: list[str] = []
    held.start()
    with lock(app.paths, patience=60, waits=lambda: calls.append("waits")):
        assert calls == ["waits"]


def test_a_backup_that_does_not_end_is_named(app: App, held: threading.Timer) -> None:
    with pytest.raises(Locked, match="a backup"), lock(app.paths, patience=0.5):
        pass


def test_a_running_operation_is_named_without_waiting(app: App, held: threading.Timer) -> None:
    begin(app.paths, Operation("release", NEW, "ada@desk", 0.0))
    began = time.monotonic()
    with pytest.raises(Locked, match=f"release {NEW} by ada@desk"), lock(app.paths, patience=60):
        pass
    assert time.monotonic() - began < 10


def test_is_locked_keeps_no_lock(app: App) -> None:
    assert not is_locked(app.paths)
    for _ in range(2):
        with lock(app.paths):
            assert is_locked(app.paths)
        assert not is_locked(app.paths)


def test_a_look_at_the_lock_stops_no_operation(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also at the moment when it is tried."""
    flock = fcntl.flock
    looked: list[int] = []

    def look_first(file: int, kind: int) -> None:
        if looked:
            flock(file, kind)
            return
        looked.append(kind)
        look = os.open(app.paths.lock, os.O_RDONLY)
        flock(look, fcntl.LOCK_SH)
        try:
            flock(file, kind)
        finally:
            os.close(look)

    monkeypatch.setattr("fcntl.flock", look_first)
    with lock(app.paths):
        assert looked == [fcntl.LOCK_EX | fcntl.LOCK_NB]


def test_what_other_processes_lock_is_not_read(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/locks: a container makes it as long as it likes."""
    with lock(app.paths):
        monkeypatch.setattr(Path, "read_text", None)
        assert is_locked(app.paths)


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_only_root_can_open_the_lock(app: App, before: int | None) -> None:
    app.paths.home.mkdir(parents=True, exist_ok=True)
    if before is not None:
        app.paths.lock.touch()
        app.paths.lock.chmod(before)
    umask = os.umask(0)
    try:
        with lock(app.paths):
            assert app.paths.lock.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(umask)
