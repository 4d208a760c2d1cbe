"""Progress of a release on the screen: stages with their times, and the result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpuhost.rollout.outcome import report
from gpuhost.rollout.progress import Progress, duration, readable
from gpuhost.runner.contract import Result


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A Progress, and the lines it prints."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.clock = Clock()
        self.progress = Progress(self.lines.append, self._warned, self.clock)

    def _warned(self, line: str) -> None:
        self.lines.append(f"! {line}")


def test_a_stage_is_printed_when_it_has_ended() -> None:
    screen = Screen()
    screen.progress.read(["10:00:00 == source", "10:00:02 fetched", "10:00:02 == build app"])
    assert screen.lines == ["  source       2 s"]
    screen.progress.read(["10:02:30 Successfully built"])
    screen.progress.end()
    assert screen.lines[1:] == ["  build app    2 min 28 s"]


def test_a_running_stage_is_printed_at_intervals() -> None:
    screen = Screen()
    screen.progress.show_running()
    screen.progress.read(["10:00:00 == build", "10:00:09 \x1b[31m#7 RUN pip\x1b[0m 10%\r#7 50%"])
    for after, count in ((14, 0), (2, 1), (14, 1), (2, 2)):
        screen.clock.now += after
        screen.progress.show_running()
        assert len(screen.lines) == count
    assert screen.lines[0] == "  build        16 s …  #7 50%"
    screen.progress.read([f"10:00:10 {'x' * 1000}"])
    screen.clock.now += 20
    screen.progress.show_running()
    assert screen.lines[-1].endswith("x…")
    assert len(screen.lines[-1]) < 130


def test_a_failed_stage() -> None:
    screen = Screen()
    screen.progress.read(
        ["10:00:00 == build", "10:00:41 FAILED in build: no", "10:00:41 == restore"]
    )
    assert screen.lines == ["!   build        failed after 41 s"]
    screen.progress.end()
    assert screen.lines[1:] == ["  restore      0 s"]


@pytest.mark.parametrize(
    ("began", "ended", "took"),
    [
        ("23:59:50", "00:00:10", "20 s"),
        ("10:00:05", "10:00:00", "0 s"),
        ("10:00:00",) * 2 + ("0 s",),
    ],
)
def test_durations_over_midnight_and_after_a_clock_change(
    began: str, ended: str, took: str
) -> None:
    screen = Screen()
    screen.progress.read([f"{began} == up", f"{ended} done"])
    screen.progress.end()
    assert screen.lines == [f"  up           {took}"]


def test_invalid_log_lines_are_ignored() -> None:
    screen = Screen()
    screen.progress.read(["", "== build", "1:2:3 == build", "\x00", "10:00:00 "])
    screen.progress.end()
    assert screen.lines == []


def test_control_characters_are_removed() -> None:
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
    "failed": (
        {"state": "failed"},
        "the release itself changed nothing: what ran before it still runs",
    ),
    "refused": (
        {"state": "failed", "stage": ""},
        "the release itself changed nothing: gpuhost status says what runs",
    ),
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


def _report(result: Result) -> list[str]:
    return [line.text for line in report(result, host="gpu1", home="/opt/gpuhost/tts")]


def test_the_report_of_a_verified_release() -> None:
    assert _report(GOOD) == [
        "release 20261122-010203-aabbccdd verified after 41 s (revision ffffffffffff)",
        "the app did not answer for 3.4 s",
    ]
    assert len(_report(replace(GOOD, gap_s=None))) == len(_report(replace(GOOD, gap_s=0.0))) == 1


@pytest.mark.parametrize("name", STATES)
def test_the_report_of_a_failed_release(name: str) -> None:
    changed, says = STATES[name]
    said = _report(replace(BAD, **changed))
    stage = "" if name == "refused" else " in stage up"
    assert said[0] == (
        f"release 20261122-010203-aabbccdd failed{stage}: container tts-web-1 exited (1)"
    )
    assert said[1:5] == ["  | red", "the app's last log lines:", "  | one", "  | two"]
    assert says in said
    others = {words for other, (_, words) in STATES.items() if other != name}
    assert not others & {*said}
    assert said[-2:] == [
        "-> read the log",
        "full log: /opt/gpuhost/tts/releases/20261122-010203-aabbccdd/log on gpu1",
    ]


@pytest.mark.parametrize("state", ["restored", "failed", "undone"])
def test_the_report_of_an_aborted_release(state: str) -> None:
    aborted = replace(
        BAD, state=state, aborted_by="bob\x1b[31m@desk", said="aborted by bob", output=(), logs=()
    )
    said = _report(replace(aborted, fix=""))
    assert said[:2] == [
        "release 20261122-010203-aabbccdd aborted by bob@desk in stage up",
        STATES[state][1],
    ]
    assert not any("failed" in line for line in said)


def test_a_failed_restore_has_a_clear_message() -> None:
    said = list(report(replace(BAD, **STATES["not restored"][0]), host="gpu1", home="/x"))
    loud = [one for one in said if one.colour == "red" and one.bold]
    assert [one.text for one in loud if one.text.startswith("!!!!")] == ["!" * 78] * 2
    assert "port 3000 is taken" in [one.text for one in loud]


@pytest.mark.parametrize("backup", ["20261122-010203-release", ""])
def test_a_migration_that_is_not_undone_is_reported(backup: str) -> None:
    (said,) = [
        line for line in _report(replace(BAD, migrated=True, backup=backup)) if "migr" in line
    ]
    where = f"the backup made before it: /opt/gpuhost/tts/backups/{backup}"
    assert said.endswith(where if backup else "it has no backup")
    assert not any("migration" in line for line in _report(BAD))


BACKUP = "20261120-033000-schedule"
OF_DATA = replace(BAD, kind="restore", id=BACKUP, backup=BACKUP, revision="", stage="restore")


def test_the_report_of_a_restore_has_no_revision() -> None:
    said = _report(replace(OF_DATA, state="verified"))
    assert said[0] == f"restore {BACKUP} verified after 41 s"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("failed", "the restore itself changed nothing: what ran before it still runs"),
        ("restored", "the previous data is restored, and the app is verified with it"),
        (
            "restore-failed",
            f"pyinfra … deploys/restore.py --data app=tts --data backup={BACKUP}",
        ),
    ],
)
def test_the_report_of_a_failed_restore(state: str, says: str) -> None:
    said = _report(replace(OF_DATA, state=state))
    assert says in said
    assert said[-1] == f"full log: /opt/gpuhost/tts/backups/{BACKUP}/log on gpu1"
    assert not any("deploys/rollback.py" in line or "previous release" in line for line in said)
    assert ("!" * 78 in said) == (state == "restore-failed")
