"""What a person who waits sees: stages with their time, and how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpuhost.rollout.outcome import report
from gpuhost.rollout.progress import Progress, duration, readable
from gpuhost.runner.contract import (
    Result,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Seen:
    """A progress, and what it says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.clock = Clock()
        self.progress = Progress(self.said.append, self._warned, self.clock)

    def _warned(self, line: str) -> None:
        self.said.append(f"! {line}")


def test_a_stage_is_told_when_it_is_done() -> None:
    seen = Seen()
    seen.progress.read(["10:00:00 == source", "10:00:02 fetched", "10:00:02 == build app"])
    assert seen.said == ["  source       2 s"]
    seen.progress.read(["10:02:30 Successfully built"])
    seen.progress.end()
    assert seen.said[1:] == ["  build app    2 min 28 s"]


def test_what_goes_on_is_heard_of_now_and_then() -> None:
    seen = Seen()
    seen.progress.show_running()
    seen.progress.read(["10:00:00 == build", "10:00:09 \x1b[31m#7 RUN pip\x1b[0m 10%\r#7 50%"])
    for after, heard in ((14, 0), (2, 1), (14, 1), (2, 2)):
        seen.clock.now += after
        seen.progress.show_running()
        assert len(seen.said) == heard
    assert seen.said[0] == "  build        16 s …  #7 50%"
    seen.progress.read([f"10:00:10 {'x' * 1000}"])
    seen.clock.now += 20
    seen.progress.show_running()
    assert seen.said[-1].endswith("x…")
    assert len(seen.said[-1]) < 130


def test_the_stage_that_failed() -> None:
    seen = Seen()
    seen.progress.read(["10:00:00 == build", "10:00:41 FAILED in build: no", "10:00:41 == restore"])
    assert seen.said == ["!   build        failed after 41 s"]
    seen.progress.end()
    assert seen.said[1:] == ["  restore      0 s"]


@pytest.mark.parametrize(
    ("began", "ended", "took"),
    [
        ("23:59:50", "00:00:10", "20 s"),
        ("10:00:05", "10:00:00", "0 s"),
        ("10:00:00",) * 2 + ("0 s",),
    ],
)
def test_over_midnight_and_a_clock_that_was_set_back(began: str, ended: str, took: str) -> None:
    seen = Seen()
    seen.progress.read([f"{began} == up", f"{ended} done"])
    seen.progress.end()
    assert seen.said == [f"  up           {took}"]


def test_what_is_no_line_of_a_log_is_passed_over() -> None:
    seen = Seen()
    seen.progress.read(["", "== build", "1:2:3 == build", "\x00", "10:00:00 "])
    seen.progress.end()
    assert seen.said == []


def test_nothing_steers_the_terminal() -> None:
    assert readable("a\x1b[2J\x1b]0;title\x07b\x07\tc\r") == "ab?    c"
    assert [duration(s) for s in (-1, 0.4, 99.4, 100, 3725)] == [
        "0 s", "0 s", "99 s", "1 min 40 s", "62 min 05 s",
    ]  # fmt: skip


GOOD = Result(
    id="20261122-010203-aabbccdd", app="tts", kind="release", state="verified", by="me@here",
    revision="f" * 40, inputs="a" * 64, started=100, ended=141, gap_s=3.44,
)  # fmt: skip
BAD = replace(
    GOOD, state="restored", stage="up", said="container tts-web-1 exited (1)",
    output=("\x1b[31mred\x1b[0m",), logs=("one", "two"), restored="20260101-000000-aa",
    fix="read the log",
)  # fmt: skip
STATES: dict[str, tuple[dict[str, Any], str]] = {
    "restored": ({}, "rolled back to 20260101-000000-aa, verified"),
    "failed": ({"state": "failed"}, "nothing was changed: the running release keeps running"),
    "undone": (
        {"state": "undone"},
        "no previous release: this one is stopped, its data is kept",
    ),
    "undone, untouched": (
        {"state": "undone", "untouched": ("db-1", "web-1")},
        "the manual deployment still runs: db-1, web-1; the release is stopped",
    ),
    "undone, replaced": (
        {"state": "undone", "replaced": ("web-1: image web:1",)},
        "THE MANUAL DEPLOYMENT OF tts ON gpu1 WAS REPLACED BY THE RELEASE",
    ),
    "not restored": (
        {"state": "restore-failed", "restore_said": "port 3000 is taken"},
        "tts IS DOWN ON gpu1: THE PREVIOUS RELEASE COULD NOT BE RESTORED",
    ),
}


def _said(result: Result) -> list[str]:
    return [said.text for said in report(result, host="gpu1", home="/opt/gpuhost/tts")]


def test_a_good_end() -> None:
    assert _said(GOOD) == [
        "release 20261122-010203-aabbccdd verified after 41 s (revision ffffffffffff)",
        "the app did not answer for 3.4 s",
    ]
    assert len(_said(replace(GOOD, gap_s=None))) == len(_said(replace(GOOD, gap_s=0.0))) == 1


@pytest.mark.parametrize("name", STATES)
def test_a_bad_end(name: str) -> None:
    changed, says = STATES[name]
    said = _said(replace(BAD, **changed))
    assert said[0] == (
        "release 20261122-010203-aabbccdd failed in stage up: container tts-web-1 exited (1)"
    )
    assert said[1:5] == ["  | red", "the app's last log lines:", "  | one", "  | two"]
    assert says in said
    others = {words for other, (_, words) in STATES.items() if other != name}
    assert not others & {*said}
    assert said[-2:] == [
        "-> read the log",
        "full log: /opt/gpuhost/tts/releases/20261122-010203-aabbccdd/log on gpu1",
    ]


def test_no_restore_is_said_in_words_no_one_can_miss() -> None:
    said = list(report(replace(BAD, **STATES["not restored"][0]), host="gpu1", home="/x"))
    loud = [one for one in said if one.colour == "red" and one.bold]
    assert [one.text for one in loud if one.text.startswith("!!!!")] == ["!" * 78] * 2
    assert "port 3000 is taken" in [one.text for one in loud]


@pytest.mark.parametrize("backup", ["20261122-010203-release", ""])
def test_a_migration_that_stays(backup: str) -> None:
    (said,) = [line for line in _said(replace(BAD, migrated=True, backup=backup)) if "migr" in line]
    where = f"the backup made before it: /opt/gpuhost/tts/backups/{backup}"
    assert said.endswith(where if backup else "it has no backup")
    assert not any("migration" in line for line in _said(BAD))


BACKUP = "20261120-033000-schedule"
OF_DATA = replace(BAD, kind="restore", id=BACKUP, backup=BACKUP, revision="", stage="restore")


def test_a_restore_of_data_has_no_revision() -> None:
    said = _said(replace(OF_DATA, state="verified"))
    assert said[0] == f"restore {BACKUP} verified after 41 s"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("failed", "nothing was changed: the running release keeps running"),
        ("restored", "the previous data is restored, and the app is verified with it"),
        (
            "restore-failed",
            f"pyinfra … deploys/restore.py --data app=tts --data backup={BACKUP}",
        ),
    ],
)
def test_a_restore_of_data_that_fails(state: str, says: str) -> None:
    said = _said(replace(OF_DATA, state=state))
    assert says in said
    assert said[-1] == f"full log: /opt/gpuhost/tts/backups/{BACKUP}/log on gpu1"
    assert not any("deploys/rollback.py" in line or "previous release" in line for line in said)
    assert ("!" * 78 in said) == (state == "restore-failed")
