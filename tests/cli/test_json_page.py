"""docs/json.md names every field of every document, with its type, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpuhost.checks.registry import run_checks
from gpuhost.cli.logs import _json_writer
from gpuhost.drift.since import Change, Since
from gpuhost.fleet.logs import Target
from gpuhost.fleet.releases import FleetApps, HostApps, reports
from gpuhost.fleet.report import FleetReport, HostReport, HostStatus
from gpuhost.settings import Settings
from tests.cli.test_releases import FAILED, UNIT, UP, VERIFIED, apps, box, host, read
from tests.drift import reports as drift
from tests.recorded import snapshot_of

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
VERBS = ("check", "drift", "status", "releases", "logs")
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| ([a-z ]+) \|", re.MULTILINE)
TYPES = {"string": str, "number": int | float, "boolean": bool, "list": list, "object": dict}
HOSTS = {
    "check": "ok fail error unreachable",
    "drift": "ok pending drift error unreachable",
    "status": "ok error unreachable",
    "releases": "ok error unreachable",
}
ATTEMPT = {"kind": "release", "id": FAILED["id"], "by": "bob@desk", "started": 1795386400}


def section(verb: str) -> str:
    return PAGE.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]


def tables(verb: str) -> list[dict[str, str]]:
    """Its tables: field to type."""
    rows = [ROW.findall(part) for part in section(verb).split("| field | type | |\n")[1:]]
    return [
        {name: type for names, type in table for name in re.findall(r"\w+", names)}
        for table in rows
    ]


def example(verb: str) -> Any:
    return json.loads(section(verb).partition("```json\n")[2].partition("```")[0])


def fits(value: Any, type: str) -> bool:
    kind, _, null = type.partition(" or ")
    if value is None:
        return null == "null"
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def describes(table: dict[str, str], found: dict[str, Any], *absent: str) -> None:
    assert set(table) - set(absent) == set(found) - set(absent)
    assert [name for name, value in found.items() if not fits(value, table[name])] == []


def check() -> dict[str, Any]:
    judged = HostReport.judged("a", run_checks(snapshot_of({"host": "debian13"}), Settings()))
    unreachable = HostReport("b", HostStatus.UNREACHABLE, reason="no answer")
    return FleetReport((judged, unreachable)).to_json()


def of_apps(kind: str) -> dict[str, Any]:
    told = apps(FAILED, VERIFIED, attempt=ATTEMPT)
    snapshot = read(host(told, box("app", "running", UP), units=UNIT))
    fleet = FleetApps((HostApps("a", reports(snapshot)),), "tts")
    return fleet.status_json() if kind == "status" else fleet.releases_json()


def test_check() -> None:
    document = check()
    (of_host, of_finding, of_summary), (judged, unreachable) = tables("check"), document["hosts"]
    assert {*document} == {*example("check")}
    describes(of_host, judged, "reason")
    describes(of_host, unreachable)
    for finding in judged["findings"]:
        describes(of_finding, finding)
    describes(of_summary, document["summary"])
    assert example("check")["summary"].keys() == document["summary"].keys()


def test_drift() -> None:
    changes = Since(drift.AT, (Change("a", "swap.size", "drift"),))
    report = drift.report(drift.host("a", swap_size="drift", disk_full="accepted")).to_json()
    of_document, of_host, of_difference, of_since = tables("drift")
    describes(of_document, {**report, "since": changes.to_json()})
    (found,) = report["hosts"]
    describes(of_host, {"status" if key == "standing" else key: found[key] for key in found})
    of_finding = tables("check")[1]
    for finding in found["findings"]:
        describes({**of_finding, **of_difference}, finding)
    describes(of_since, changes.to_json())
    (change,) = changes.to_json()["new"]
    assert {*change} == {*example("drift")["since"]["new"][0]}


def test_status() -> None:
    (of_app,) = tables("status")
    ((app,),) = (found["apps"] for found in of_apps("status")["hosts"])
    describes(of_app, app)
    (shown,) = example("status")["hosts"][0]["apps"]
    assert {*shown["containers"][0]} == {*app["containers"][0]}
    assert {*shown["under_way"]} == {*app["under_way"]}


def test_releases() -> None:
    of_release, of_result = tables("releases")
    document = of_apps("releases")
    assert {*document} == {*example("releases")}
    (releases,) = (found["releases"] for found in document["hosts"])
    for release in releases:
        describes(of_release, release)
        describes(of_result, release["result"])
    assert example("releases")["hosts"][0]["releases"][0]["result"].keys() == of_result.keys()


def test_logs(capsys: pytest.CaptureFixture[str]) -> None:
    (of_line,) = tables("logs")
    _json_writer("gpu1", Target("tts", "20261122-010203-aabbccdd", "log", under_way=False))("== up")
    line = json.loads(capsys.readouterr().out)
    describes(of_line, line)
    assert {*example("logs")} == {*line}


@pytest.mark.parametrize("verb", VERBS[:-1])
def test_how_a_host_is(verb: str) -> None:
    """The table at the top has what the section of each command says."""
    header, *rows = re.findall(r"^\| `.*\|$", PAGE.partition("\n## ")[0], re.MULTILINE)
    column = [cell.strip() for cell in header.split("|")].index(f"`{verb}`", 2)
    assert {row.split("`")[1] for row in rows if "yes" in row.split("|")[column]} == {
        *HOSTS[verb].split()
    }
