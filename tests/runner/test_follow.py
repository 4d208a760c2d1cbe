"""What a viewer gets of a log, look after look: all of it, whatever its lines are, and the end."""

from __future__ import annotations

import json

import pytest

from gpuhost.runner.state import follow as module
from gpuhost.runner.state import results
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.release import Release
from tests.runner.at_hand import NEW, App, app
from tests.runner.ended import ended

__all__ = ["app"]


@pytest.mark.parametrize(
    ("log", "looks"),
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
    looks: int,
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    release = app.release(NEW)
    release.paths.log.write_text(log)
    results.write(release, ended(release))
    assert len(_seen(release, capsys, log)) == looks


def _seen(release: Release, capsys: pytest.CaptureFixture[str], log: str) -> list[str]:
    """The text of each look, until the release has ended."""
    seen: list[str] = []
    offset = 0
    for _ in range(len(log) + 2):
        follow(release.app, release.plan.id, offset, 0)
        answer, _, text = capsys.readouterr().out.partition("\n")
        told = json.loads(answer)
        offset = told["offset"]
        seen.append(text)
        if told["state"] == "ended":
            assert offset == len(log.encode())
            return seen
    raise AssertionError(f"it never ended: {seen}")


def test_half_a_line_comes_when_it_is_whole(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    release = app.release(NEW)
    release.paths.log.write_text("one\nhalf a li")
    follow(app.paths, NEW, 0, 0)
    answer, *lines = capsys.readouterr().out.splitlines()
    assert (json.loads(answer)["offset"], lines) == (4, ["one"])
