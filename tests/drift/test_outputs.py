"""Where a run's result goes: each place on its own, whatever becomes of the others."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhost.cli.drift_outputs import Outputs
from gpuhost.drift.since import Change, Since
from gpuhost.outputs import drift_page, metrics
from gpuhost.outputs.clock import minute
from gpuhost.outputs.drift import print_drift
from gpuhost.outputs.table import console
from tests.drift.reports import AT, host, report

CHANGES = Since(AT, new=(Change("gpu1", "swap.size", "drift"),))


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
def test_a_time_that_is_none(at: float) -> None:
    assert minute(at) == "?"  # type: ignore[arg-type]


def test_a_host_with_a_time_that_is_none_ends_no_report() -> None:
    odd = replace(host("gpu1", swap_size="drift"), applied_at=10**18)
    shown = io.StringIO()
    print_drift(report(odd, host("gpu2", a_b="ok")), console(shown))
    assert "gpu2" in shown.getvalue()
    assert "gpu2" in drift_page.page(report(odd, host("gpu2", a_b="ok")))


@pytest.mark.parametrize("broken", [(drift_page, "page"), (metrics, "text")])
def test_a_place_in_trouble_takes_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: tuple[Any, str],
) -> None:
    def trouble(*_: object, **__: object) -> str:
        raise OverflowError("date value\nout of range")

    monkeypatch.setattr(*broken, trouble)
    assert (
        outputs(tmp_path).deliver(report(host("gpu1", swap_size="drift")), CHANGES, 1, {"gpu1"})
        is False
    )
    option = {"page": "--html", "text": "--metrics"}[broken[1]]
    said = f"gpuhost: {option}: not written: OverflowError: date value out of range\n"
    assert capsys.readouterr().err == said
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"runs", "drift.html", "gpuhost.prom"} - {
        "drift.html" if option == "--html" else "gpuhost.prom"
    }
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_notifier_that_cannot_be_started_takes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trouble(*_: object) -> list[str]:
        raise OSError(12, "Cannot allocate memory: json://token@example.com")

    made = replace(outputs(tmp_path), notify=("json://token@example.com",))
    monkeypatch.setattr("gpuhost.cli.drift_outputs.send", trouble)
    assert made.deliver(report(host("gpu1", swap_size="drift")), CHANGES, 1, {"gpu1"})
    assert capsys.readouterr().err == "gpuhost: the notification failed: OSError\n"
    assert len(list((tmp_path / "runs").iterdir())) == 1
