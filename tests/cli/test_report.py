"""The report of a check: exit status, JSON and tables."""

from __future__ import annotations

import io
import itertools
import json

import pytest
from rich.console import Console

from gpuhost.checks.finding import Finding, Status
from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.outputs.fleet import print_report
from gpuhost.outputs.table import console


def finding(status: Status, id: str = "swap.size") -> Finding:
    return Finding(status, expected="4.0 GB", actual="0.0 GB", evidence="none", fix="do it", id=id)


def judged(*statuses: Status, host: str = "gpu1") -> HostReport:
    return HostReport.of(host, [finding(s, f"swap.{i}") for i, s in enumerate(statuses)])


OK, WARN, FAIL, SKIP, UNKNOWN = Status.OK, Status.WARN, Status.FAIL, Status.SKIP, Status.UNKNOWN
UNREACHABLE = HostReport("gpu2", HostStatus.UNREACHABLE, reason="Could not connect", fix="try")
HANGS = HostReport("gpu3", HostStatus.ERROR, reason="reading: no answer within 180 s")
MISTAKE = HostReport("gpu4", HostStatus.ERROR, reason="cuda = 12.1", bad_settings=True)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([judged(OK)], 0),
        ([judged(OK, WARN, SKIP)], 0),
        ([judged(OK, FAIL)], 2),
        ([judged(OK, UNKNOWN)], 3),
        ([judged(FAIL, UNKNOWN)], 3),
        ([judged(OK), UNREACHABLE], 3),
        ([judged(FAIL), UNREACHABLE], 3),
        ([judged(FAIL), HANGS], 3),
        ([judged(OK), MISTAKE], 1),
        ([judged(FAIL), UNREACHABLE, MISTAKE], 1),
        ([], 1),
    ],
)
def test_exit_status(hosts: list[HostReport], expected: int) -> None:
    for order in itertools.permutations(hosts):
        assert FleetReport(order).exit == expected


def test_an_interrupted_check_is_not_a_success() -> None:
    assert FleetReport((judged(OK),), interrupted=True).exit == Exit.INTERRUPTED == 130


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((OK, SKIP), HostStatus.OK),
        ((OK, WARN), HostStatus.OK),
        ((OK, FAIL, UNKNOWN), HostStatus.FAIL),
        ((OK, UNKNOWN), HostStatus.ERROR),
    ],
)
def test_status_of_a_host(statuses: tuple[Status, ...], expected: HostStatus) -> None:
    assert judged(*statuses).status is expected


def test_json_of_schema_1() -> None:
    report = FleetReport((judged(OK, FAIL), judged(UNKNOWN, host="gpu5"), UNREACHABLE, MISTAKE))
    document = json.loads(json.dumps(report.to_json()))
    assert set(document) == {"schema", "hosts", "summary"}
    assert document["schema"] == 1
    one, unknown, unreachable, mistake = document["hosts"]
    assert one == {
        "host": "gpu1",
        "status": "fail",
        "findings": [
            {
                "id": f"swap.{i}",
                "status": status,
                "expected": "4.0 GB",
                "actual": "0.0 GB",
                "evidence": "none",
                "fix": "do it",
            }
            for i, status in enumerate(("ok", "fail"))
        ],
    }
    assert (unknown["status"], unknown["reason"]) == ("error", "could not be read: swap.0")
    assert unreachable == {
        "host": "gpu2",
        "status": "unreachable",
        "reason": "Could not connect; try",
        "findings": [],
    }
    assert mistake == {"host": "gpu4", "status": "error", "reason": "cuda = 12.1", "findings": []}
    assert document["summary"] == {
        "hosts": 4,
        "ok": 0,
        "fail": 1,
        "unreachable": 1,
        "error": 2,
        "findings": {"ok": 1, "warn": 0, "fail": 1, "skip": 0, "unknown": 1},
    }


def printed(*hosts: HostReport, show_all: bool = False) -> str:
    stream = io.StringIO()
    print_report(FleetReport(hosts), console(stream), show_all=show_all)
    return stream.getvalue()


def test_one_host_shows_what_is_not_ok_and_the_counts() -> None:
    text = printed(judged(WARN, OK, FAIL, SKIP))
    assert text.startswith("gpu1: 1 fail, 1 warn, 1 ok, 1 skip\n")
    assert [f"swap.{i}" in text for i in range(4)] == [True, False, True, False]
    assert text.index("swap.2") < text.index("swap.0"), "worst first"
    assert text.count("expected: 4.0 GB") == text.count("-> do it") == 2
    assert "1 hosts" not in text


def test_an_ok_host_is_one_line() -> None:
    assert printed(judged(OK, OK, SKIP)) == "gpu1: 2 ok, 1 skip\n"


def test_all_shows_every_row() -> None:
    text = printed(judged(OK, FAIL, SKIP), show_all=True)
    assert all(f"swap.{i}" in text for i in range(3))
    text = printed(judged(OK), judged(SKIP, host="gpu9"), show_all=True)
    assert text.count("swap.0") == 2


def test_a_fleet_shows_a_summary_and_what_needs_attention() -> None:
    text = printed(judged(OK, FAIL), judged(OK, host="gpu9"), UNREACHABLE, HANGS)
    assert text.startswith("4 hosts: 1 unreachable, 1 error, 1 fail, 1 ok ")
    assert "swap.1" in text
    assert "swap.0" not in text
    assert "gpu9:" not in text
    assert "gpu2: unreachable: Could not connect\n-> try\n" in text


def test_a_command_to_copy_is_never_folded() -> None:
    fix = "accept it: echo '" + "A" * 300 + "' >>~/.ssh/known_hosts"
    text = printed(HostReport("gpu2", HostStatus.UNREACHABLE, reason="unknown", fix=fix))
    assert f"-> {fix}\n" in text


def test_control_characters_of_a_host_are_removed() -> None:
    evil = Finding(FAIL, "\x1b[2J", "[bold]\x1b]0;x\x07", "\x9b1m", "\r", id="swap.size")
    stream = io.StringIO()
    report = FleetReport((HostReport.of("\x1b[1m", [evil]), UNREACHABLE))
    print_report(report, Console(file=stream, width=120))
    text = stream.getvalue()
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\r"}
    assert "[bold]" in text
