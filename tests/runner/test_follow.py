"""Following a log in several reads: all of it, with any kind of lines, and its end."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.state import follow as module
from gpuhost.runner.state import results
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.lock import lock
from gpuhost.runner.state.operations import begin
from gpuhost.runner.state.release import Release
from tests.runner.ended_result import result_of
from tests.runner.host_fixtures import NEW, OLD, App, app

__all__ = ["app"]


@pytest.mark.parametrize(
    ("log", "reads"),
    [
        ("one\ntwo\n", 1),
        ("short\n" + "x" * 25 + "\nthe end\n", 5),
        # The runner was killed while it wrote, or the disk was full.
        ("one\nhalf a li", 2),
        ("half a li", 1),
        ("é" * 12 + "\n", 3),
        ("", 1),
    ],
)
def test_a_log_is_followed_to_its_end(
    app: App,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    log: str,
    reads: int,
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    release = app.release(NEW)
    release.paths.log.write_text(log)
    results.store(release.app, result_of(release))
    assert len(_read_all(release, capsys, log)) == reads


def _read_all(release: Release, capsys: pytest.CaptureFixture[str], log: str) -> list[str]:
    """The text of each read, until the release has ended."""
    texts: list[str] = []
    offset = 0
    for _ in range(len(log) + 2):
        follow(release.app, release.plan.id, offset, 0)
        answer, _, text = capsys.readouterr().out.partition("\n")
        status = json.loads(answer)
        offset = status["offset"]
        texts.append(text)
        if status["state"] == "ended":
            assert offset == len(log.encode())
            return texts
    raise AssertionError(f"it never ended: {texts}")


@pytest.mark.parametrize(
    ("locked", "ended", "state"),
    [(True, False, "lost"), (True, True, "ended"), (False, False, "lost")],
)
def test_a_release_that_waits_for_an_interrupted_one(
    app: App, capsys: pytest.CaptureFixture[str], locked: bool, ended: bool, state: str
) -> None:
    """It is lost at once, although its directory is new: the follower then shows the other one."""
    release = app.release(NEW)
    if ended:
        results.store(release.app, result_of(release))
    begin(app.paths, Operation("release", OLD, "ada@desk", 7.0))
    with lock(app.paths) if locked else nullcontext():
        follow(app.paths, NEW, 0, 0)
    answer = json.loads(capsys.readouterr().out.partition("\n")[0])
    assert (answer["state"], answer["holder"]["id"]) == (state, OLD)


def test_a_partial_line_is_shown_when_it_is_complete(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    release = app.release(NEW)
    release.paths.log.write_text("one\nhalf a li")
    follow(app.paths, NEW, 0, 0)
    answer, *lines = capsys.readouterr().out.splitlines()
    assert (json.loads(answer)["offset"], lines) == (4, ["one"])


def test_a_release_whose_runner_is_starting_is_waited_for(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no clock that could be set: the directory may seem a year old, or from tomorrow."""
    release = app.release(NEW)
    os.utime(release.paths.home, (1, 1))
    waits = iter((None, None))

    def start(seconds: float) -> None:
        if next(waits, 0) == 0:
            release.paths.log.write_text("begun\n")

    monkeypatch.setattr(module.time, "sleep", start)
    follow(app.paths, NEW, 0, 60)
    answer, *lines = capsys.readouterr().out.splitlines()
    assert (json.loads(answer)["state"], lines) == ("running", ["begun"])
