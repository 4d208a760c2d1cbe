"""The outputs of a run: an error of one does not affect the others."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhost.cli.common.drift_outputs import Outputs
from gpuhost.drift.run_lock import run_lock
from gpuhost.drift.since import Changes
from gpuhost.outputs import drift_page, metrics
from gpuhost.outputs.clock import minute
from gpuhost.outputs.drift import print_drift
from gpuhost.outputs.notify import Message
from gpuhost.outputs.table import console
from tests.drift.reports import AT, host, report

DRIFTING = host("gpu1", swap_size="drift")
GOOD = host("gpu1", swap_size="ok")


def outputs(directory: Path, **more: Any) -> Outputs:
    made = Outputs(
        **{
            "history": directory / "runs",
            "since": None,
            "html": directory / "drift.html",
            "metrics": directory / "gpuhost.prom",
            "notify": (),
            **more,
        }
    )
    made.check()
    return made


@pytest.mark.parametrize("at", [10**18, 99999999999999, -(10**18), float("inf"), float("nan")])
def test_an_invalid_time(at: float) -> None:
    assert minute(at) == "?"  # type: ignore[arg-type]


def test_an_invalid_time_does_not_break_the_report() -> None:
    odd = replace(host("gpu1", swap_size="drift"), applied_at=10**18)
    shown = io.StringIO()
    print_drift(report(odd, host("gpu2", a_b="ok")), console(shown))
    assert "gpu2" in shown.getvalue()
    assert "gpu2" in drift_page.page(report(odd, host("gpu2", a_b="ok")))


@pytest.mark.parametrize("broken", [(drift_page, "page"), (metrics, "text")])
def test_an_output_that_fails_does_not_affect_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: tuple[Any, str],
) -> None:
    def trouble(*_: object, **__: object) -> str:
        raise OverflowError("date value\nout of range")

    monkeypatch.setattr(*broken, trouble)
    assert not outputs(tmp_path).deliver(report(DRIFTING), 1, {"gpu1"}).written
    option = {"page": "--html", "text": "--metrics"}[broken[1]]
    said = f"gpuhost: {option}: not written: OverflowError: date value out of range\n"
    assert capsys.readouterr().err == said
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"runs", "drift.html", "gpuhost.prom"} - {
        "drift.html" if option == "--html" else "gpuhost.prom"
    }
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_notifier_that_does_not_start_does_not_affect_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trouble(*_: object) -> list[str]:
        raise OSError(12, "Cannot allocate memory: json://token@example.com")

    made = replace(outputs(tmp_path), notify=("json://token@example.com",))
    monkeypatch.setattr("gpuhost.outputs.notify.send", trouble)
    assert made.deliver(report(GOOD), 1, {"gpu1"}).written
    assert made.deliver(report(DRIFTING, at=AT + 1), 1, {"gpu1"}).written
    assert capsys.readouterr().err == "gpuhost: the notification failed: OSError\n"
    assert len(list((tmp_path / "runs").iterdir())) == 2


class Sent:
    """The titles of all messages that were sent, by any run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.titles: list[str] = []

        def send(_: object, what: Message) -> list[str]:
            self.titles.append(what.title)
            time.sleep(seconds)
            return []

        monkeypatch.setattr("gpuhost.outputs.notify.send", send)


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_parallel_runs_one_notifies(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: int,
) -> None:
    """In either order of their start times."""
    sent = Sent(monkeypatch, 0.5)
    runs = [replace(outputs(tmp_path), notify=("json://example.com",)) for _ in range(2)]
    outputs(tmp_path).deliver(report(GOOD), 1, {"gpu1"})
    began = [AT + first, AT + 3 - first]
    with ThreadPoolExecutor() as pool:
        found = [
            pool.submit(one.deliver, report(DRIFTING, at=at), 1, {"gpu1"})
            for one, at in zip(runs, began, strict=True)
        ]
    new = [len(one.result().changes.new) for one in found]  # type: ignore[union-attr]
    assert sorted(new) == [0, 1]
    assert sent.titles == ["gpuhost drift: 1 new, nothing gone"]
    assert capsys.readouterr().err == (
        f"gpuhost: waiting for another run that uses {tmp_path / 'runs'}\n"
    )
    # The next run is compared with the last saved one.
    assert outputs(tmp_path).deliver(report(DRIFTING, at=AT + 9), 1, {"gpu1"}).changes == Changes(
        max(began) if new[began.index(max(began))] == 0 else max(began) + 1
    )
    assert len(list((tmp_path / "runs").iterdir())) == 4


def test_two_runs_of_the_same_second_are_both_saved(tmp_path: Path) -> None:
    for hosts in (GOOD, DRIFTING, DRIFTING):
        found = outputs(tmp_path).deliver(report(hosts), 1, {"gpu1"})
    assert found.changes == Changes(AT + 1)
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_a_run_from_the_future_is_ignored(tmp_path: Path) -> None:
    future = int(time.time()) + 3600
    for run in (report(GOOD), report(DRIFTING, at=future), report(DRIFTING, at=AT + 5)):
        found = outputs(tmp_path).deliver(run, 1, {"gpu1"})
    assert found.changes is not None
    assert (found.changes.at, len(found.changes.new)) == (AT, 1)


def test_waiting_for_the_lock_is_limited(tmp_path: Path) -> None:
    said: list[str] = []
    with run_lock(tmp_path, said.append), run_lock(tmp_path, said.append, 0.2):
        pass
    assert said == [
        f"waiting for another run that uses {tmp_path}",
        "the other run has not ended after 0.2 s: continuing without the lock",
    ]
    with run_lock(tmp_path, said.append), suppress(ZeroDivisionError):
        raise ZeroDivisionError
    assert len(said) == 2


def test_a_directory_that_disappears_during_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = outputs(tmp_path)
    (tmp_path / "runs").rmdir()
    assert not made.deliver(report(DRIFTING), 1, {"gpu1"}).written
    assert (tmp_path / "drift.html").exists()
    assert capsys.readouterr().err.count("No such file or directory\n") == 3
