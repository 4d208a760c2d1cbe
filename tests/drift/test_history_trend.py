"""Disks that will fill up: when there is a warning, and its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.checks.finding import Status
from gpuhost.domain.sizes import GB
from gpuhost.drift.comparison import free_by_mount
from gpuhost.drift.trend import DAY, disk_trend, estimate
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.recorded import probes

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "trend.yaml").read_text("utf-8"))
NOW = 1795299544


def points(case: dict[str, Any]) -> list[tuple[int, int]]:
    hours, free = case.get("hours", 24), case["free"]
    ago = range(len(free) - 1, -1, -1)
    return [(NOW - each * hours * 3600, gb * GB) for each, gb in zip(ago, free, strict=True)]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_trend(case: dict[str, Any]) -> None:
    found = estimate("/", points(case))
    soon = found if found and found.days <= 14 else None
    if "days" not in case:
        assert soon is None, soon and (soon.days, soon.a_day / GB)
        return
    assert soon is not None
    assert soon.days == pytest.approx(case["days"], rel=0.15)


def readings(**by_mount: list[int]) -> list[tuple[int, dict[str, int]]]:
    """One reading per day, the last one is the current one; `_` in a name means `/`."""
    names = {name: name.replace("_", "/") for name in by_mount}
    length = max(map(len, by_mount.values()))
    return [
        (NOW - ago * DAY, {path: by_mount[n][-1 - ago] * GB for n, path in names.items()
                           if ago < len(by_mount[n])})
        for ago in range(length - 1, -1, -1)
    ]  # fmt: skip


def test_the_warning_has_everything_a_person_needs() -> None:
    *before, now = readings(_=[90, 80, 70, 60], _data=[50, 40, 30, 20], _boot=[1, 1, 1, 1])
    found = disk_trend(before, now)
    assert found is not None
    assert (found.id, found.status) == ("disk.trend", Status.WARN)
    assert found.expected == "no disk is full within 14 days"
    assert found.actual == (
        "/data is full in about 2 days: 20.0 GB free; / is full in about 6 days: 60.0 GB free"
    )
    assert found.evidence.startswith(
        "/data: 10.0 GB less per day, in 4 runs over 3 days; 50.0 GB free at first; /: "
    )
    assert found.fix.startswith("du -x -h -d 2 /data ")


def test_its_command_quotes_the_name_of_the_disk() -> None:
    name = "/srv/my data; rm -r x"
    runs = [(at, {name: free["/data"]}) for at, free in readings(_data=[50, 40, 30, 20])]
    *before, now = runs
    found = disk_trend(before, now)
    assert found is not None
    assert found.fix.startswith("du -x -h -d 2 '/srv/my data; rm -r x' | sort")


def test_without_history_there_is_no_warning() -> None:
    assert disk_trend([], (NOW, {"/": 1})) is None
    assert disk_trend([(NOW - DAY, {}), (NOW - 2 * DAY, {})], (NOW, {"/": 1})) is None
    assert disk_trend([(NOW - DAY, {"/": 5}), (NOW - 2 * DAY, {"/": 9})], (NOW, {})) is None


def test_a_disk_that_is_new_or_gone_is_no_trend() -> None:
    *before, now = readings(_=[9, 9, 9, 9], _new=[40, 20])
    assert disk_trend(before, now) is None


def test_the_order_of_readings_does_not_matter() -> None:
    *before, now = readings(_=[90, 80, 70, 60])
    assert disk_trend(before[::-1], now) == disk_trend(before, now)


def test_a_disk_is_listed_once() -> None:
    snapshot = Snapshot(probes("debian13"))
    # /srv/swap and /var/lib/docker are on the same device.
    free = free_by_mount(snapshot, Settings())
    assert set(free) == {"/", "/srv/swap"}
    assert free["/"] == 77612285952


def test_a_hanging_disk_has_no_trend() -> None:
    snapshot = Snapshot(probes("debian13", changed={"disks": {"rc": None}}))
    assert free_by_mount(snapshot, Settings()) == {}
