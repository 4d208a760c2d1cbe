"""Names of hosts, apps and findings that look like markup or contain control characters."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from gpuhost.checks.finding import Finding, Status
from gpuhost.cli.common import progress
from gpuhost.drift.since import Change, Changes
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.releases import FleetApps, HostApps
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.outputs.drift import print_changes, print_drift
from gpuhost.outputs.fleet import print_report
from gpuhost.outputs.releases import print_releases, print_status
from gpuhost.outputs.table import console, table
from tests.drift import reports
from tests.drift.reports import AT

NAMES = ["[/x]", "[/]", "[bold]gpu", ":smile:", "back\\\\\\[/dim]", "back\\"]


def shown(print_it: Any, *what: Any) -> str:
    stream = io.StringIO()
    print_it(*what, console(stream))
    return stream.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_unchanged_in_every_report(name: str) -> None:
    wrong = Finding(Status.FAIL, name, name + name, name, name, id=f"app.{name}.files")
    checked = FleetReport((HostReport.of(name, [wrong]),) * 2)
    assert shown(print_report, checked).count(name) >= 2 + 2 * 6
    found = reports.host(name, **{f"app_{name}": "drift"})
    missing = reports.unreachable(name)
    drifted = shown(print_drift, reports.report(found, missing))
    assert drifted.count(name) >= 5
    changed = Changes(AT, new=(Change(name, name, "drift"),))
    assert name in shown(print_changes, changed)
    host_error = HostError(HostStatus.UNREACHABLE, name, name)
    fleet = FleetApps((HostApps(name), HostApps(name, error=host_error)), name)
    assert shown(print_status, fleet).count(name) >= 4
    assert shown(print_releases, fleet).count(name) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_names_are_not_read_as_markup(name: str) -> None:
    stream = io.StringIO()
    grid = table([Finding(Status.WARN, name, name, name, name, id=name)])
    Console(file=stream, width=120).print(grid)
    assert stream.getvalue().count(name) >= 4


def test_control_characters_in_the_id_of_a_finding_are_removed() -> None:
    text = shown(print_drift, reports.report(reports.host("gpu1", **{"app_\x1b[2J": "drift"})))
    assert "\x1b" not in text


def test_control_characters_in_the_progress_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, width=120, force_terminal=True)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    with progress.progress(["[/x]\x1b[2J"]):
        pass
    assert "waiting for [/x]?[2J" in stream.getvalue()
