"""docs/json.md has exactly the fields of every document, with their types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpuhost.drift.since import Change, Changes
from tests.cli.golden import golden

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


def section(verb: str) -> str:
    return PAGE.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]


def tables(verb: str) -> list[dict[str, str]]:
    """The tables of a section: field to type."""
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


def document(verb: str) -> dict[str, Any]:
    return json.loads(golden(verb))  # type: ignore[no-any-return]


def test_check() -> None:
    of_host, of_finding, of_summary = tables("check")
    assert {*document("check")} == {*example("check")}
    for host in document("check")["hosts"]:
        describes(of_host, host, "reason")
        for finding in host["findings"]:
            describes(of_finding, finding)
    describes(of_summary, document("check")["summary"])
    assert example("check")["summary"].keys() == document("check")["summary"].keys()


def test_drift() -> None:
    report = document("drift")
    of_document, of_host, of_difference, of_since = tables("drift")
    describes(of_document, report, "since")
    of_finding = tables("check")[1]
    for host in report["hosts"]:
        describes(of_host, host)
        for finding in host["findings"]:
            describes({**of_finding, **of_difference}, finding)
    changes = Changes(report["at"], (Change("a", "swap.size", "drift"),)).to_json()
    describes(of_since, changes)
    assert {*changes["new"][0]} == {*example("drift")["since"]["new"][0]}


def test_status() -> None:
    (of_app,) = tables("status")
    apps = [app for host in document("status")["hosts"] for app in host["apps"]]
    assert apps
    for app in apps:
        describes(of_app, app)
    (shown,) = example("status")["hosts"][0]["apps"]
    assert {*shown["containers"][0]} == {
        key for app in apps for box in app["containers"] for key in box
    }
    assert {*shown["under_way"]} == {key for app in apps for key in app["under_way"] or {}}


def test_releases() -> None:
    of_release, of_result = tables("releases")
    assert {*document("releases")} == {*example("releases")}
    releases = [one for host in document("releases")["hosts"] for one in host["releases"]]
    assert releases
    for release in releases:
        describes(of_release, release)
        if release["result"]:
            describes(of_result, release["result"])
    assert example("releases")["hosts"][0]["releases"][0]["result"].keys() == of_result.keys()


def test_logs() -> None:
    (of_line,) = tables("logs")
    line = document("logs")
    describes(of_line, line)
    assert {*example("logs")} == {*line}


@pytest.mark.parametrize("verb", VERBS[:-1])
def test_the_statuses_of_a_host(verb: str) -> None:
    """The table at the top has the statuses of each command."""
    header, *rows = re.findall(r"^\| `.*\|$", PAGE.partition("\n## ")[0], re.MULTILINE)
    column = [cell.strip() for cell in header.split("|")].index(f"`{verb}`", 2)
    assert {row.split("`")[1] for row in rows if "yes" in row.split("|")[column]} == {
        *HOSTS[verb].split()
    }
