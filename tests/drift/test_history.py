"""The directory of earlier runs: what is in it, what is taken away, what is passed over."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.drift import history
from gpuhost.drift.history import History, InvalidRun, parse_run
from gpuhost.drift.report import DriftReport
from gpuhost.drift.since import compare, open_findings
from gpuhost.drift.trend import DAY
from tests.drift.reports import AT, host, report, unreachable


class Kept:
    """A history and what it says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        assert self.again().prepare() == ""

    def again(self) -> History:
        """As the next run sees it."""
        return History(self.directory, self.said.append)

    def save(self, run: DriftReport) -> None:
        self.again().save(run, open_findings(run, {}))

    @property
    def names(self) -> list[str]:
        return sorted(file.name for file in self.directory.iterdir())


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "runs")


def test_what_comes_back_is_what_was_kept(kept: Kept) -> None:
    gpu1 = replace(host("gpu1", swap_size="drift", disk_full="ok"), disks={"/": 5})
    kept.save(report(gpu1, unreachable("gpu2")))
    run = kept.again().newest(AT + 1)
    assert run is not None
    assert run.at == AT
    assert run.open == {"gpu1": {"swap.size": "drift"}, "gpu2": {"host.read": "unreachable"}}
    assert run.disks == {"gpu1": {"/": 5}, "gpu2": {}}
    assert kept.said == []


def test_a_file_is_the_report_without_what_is_good(kept: Kept) -> None:
    run = report(host("gpu1", swap_size="drift", disk_full="ok", memory_total="skip"))
    kept.save(run)
    assert kept.names == ["2026-11-21T221904Z.json"]
    text = (kept.directory / kept.names[0]).read_text()
    assert text.count("\n") == 1
    found = json.loads(text)
    assert found.pop("open") == {"gpu1": {"swap.size": "drift"}}
    assert found["hosts"][0].pop("disks") == {}
    expected = run.to_json()
    del expected["hosts"][0]["findings"][1:]
    assert found == expected


def test_a_hundred_good_hosts_are_few_bytes(kept: Kept) -> None:
    good = {f"noun_{place}": "ok" for place in range(60)}
    kept.save(report(*(host(f"gpu{place}", **good) for place in range(100))))
    assert (kept.directory / kept.names[0]).stat().st_size < 20_000


def test_it_is_nobody_elses_business(kept: Kept) -> None:
    kept.save(report(host("gpu1", swap_size="drift")))
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept.directory / kept.names[0]).stat().st_mode) == 0o600


def test_the_oldest_are_taken_away(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_RUNS", 3)
    (kept.directory / "notes.txt").touch()
    for day in range(5):
        kept.save(report(host("gpu1", swap_size="drift"), at=AT + day * DAY))
    assert kept.names == [
        "2026-11-23T221904Z.json",
        "2026-11-24T221904Z.json",
        "2026-11-25T221904Z.json",
        "notes.txt",
    ]


def test_a_run_that_dies_while_it_writes_leaves_the_last_one_whole(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.save(report(host("gpu1", swap_size="drift")))
    before = kept.names

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        kept.save(report(host("gpu1", swap_size="ok"), at=AT + 1))
    assert kept.names == before


BROKEN_AT = 1795305600


def of_the_disk(free: str) -> str:
    hosts = f'[{{"host":"gpu1","disks":{{"/":{free}}}}}]'
    return f'{{"schema":1,"at":{BROKEN_AT},"open":{{}},"hosts":{hosts}}}'


BROKEN = {
    "empty": "",
    "cut off": '{"schema":1,"at":17952',
    "a list": "[]",
    "null": "null",
    "another schema": '{"schema":3}',
    "no open": f'{{"schema":1,"at":{AT},"hosts":[]}}',
    "a host that is none": f'{{"schema":1,"at":{BROKEN_AT},"open":{{}},"hosts":[1]}}',
    "open is a list": f'{{"schema":1,"at":{BROKEN_AT},"open":[],"hosts":[]}}',
    "endless": "[" * 100_000,
    "a time that is none": '{"schema":1,"at":"x","open":{},"hosts":[]}',
    "a time without end": '{"schema":1,"at":1e999,"open":{},"hosts":[]}',
    "a time beyond all years": '{"schema":1,"at":99999999999999,"open":{},"hosts":[]}',
    "another time than its name": f'{{"schema":1,"at":{AT + 5},"open":{{}},"hosts":[]}}',
    "a disk without end": of_the_disk("1e999"),
    "a disk beyond all sizes": of_the_disk("1" + 400 * "0"),
    "a disk that owes": of_the_disk("-1"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_run_is_passed_over(kept: Kept, text: str) -> None:
    kept.save(report(host("gpu1", swap_size="drift")))
    broken = kept.directory / "2026-11-22T000000Z.json"
    broken.write_text(text)
    again = kept.again()
    for _ in range(2):
        run = again.newest(AT + DAY)
        assert run is not None
        assert run.at == AT
        assert set(again.disks(AT + DAY)) == {"gpu1"}
    (said,) = kept.said
    assert said.startswith(f"{broken} is ignored: ")
    assert "\n" not in said


def test_the_file_of_the_broken_runs_could_be_a_good_one(kept: Kept) -> None:
    (kept.directory / "2026-11-22T000000Z.json").write_text(of_the_disk("5"))
    assert kept.again().disks(AT + DAY) == {"gpu1": [(BROKEN_AT, {"/": 5})]}


def test_foreign_files_are_passed_over_and_left_alone(kept: Kept) -> None:
    (kept.directory / "README").write_text("Runs of the nightly check.")
    (kept.directory / "2026-11-21T000000Z.json.bak").write_text("{}")
    (kept.directory / ".2026-11-21T000000Z.json.x.new").write_text("{")
    (kept.directory / "2026-11-21T010000Z.json").mkdir()
    (kept.directory / "2026-11-21T020000Z.json").write_bytes(b"\xff\xfe")
    assert kept.again().newest(AT) is None
    assert len(kept.said) == 4
    assert len(kept.names) == 5


def test_a_run_of_a_clock_that_was_wrong_is_not_the_last_one(kept: Kept) -> None:
    kept.save(report(host("gpu1", swap_size="drift"), at=AT + 9999 * DAY))
    kept.save(report(host("gpu1", swap_size="drift")))
    run = kept.again().newest(AT + DAY)
    assert run is not None
    assert run.at == AT


def test_of_many_runs_a_few_tell_the_trend(kept: Kept) -> None:
    for hour in range(100):
        kept.save(report(replace(host("gpu1", a_b="ok"), disks={"/": hour}), at=AT + hour * 3600))
    kept.save(report(replace(host("gpu1", a_b="ok"), disks={"/": 1}), at=AT - 31 * DAY))
    found = kept.again().disks(AT + 100 * 3600)["gpu1"]
    assert 20 <= len(found) <= 30
    assert found[0] == (AT + 99 * 3600, {"/": 99})
    assert min(at for at, _ in found) >= AT


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "File exists" in History(file, print).prepare()
    assert "No such file" in History(tmp_path / "no" / "runs", print).prepare()
    assert History(Path("/proc/self"), print).prepare().startswith("cannot write in /proc/self")


def test_a_run_of_schema_1_is_an_earlier_run(kept: Kept) -> None:
    """As gpuhost wrote it when a cause was `new` and a host had a `standing`."""
    finding = {"id": "swap.size", "status": "fail", "cause": "new", "accepted": False}
    hosts = [
        {"host": "gpu1", "standing": "pending", "findings": [finding], "disks": {"/": 5}},
        {"host": "gpu2", "standing": "unreachable", "findings": [], "disks": {}},
    ]
    known = {"gpu1": {"swap.size": "new"}, "gpu2": {"host.read": "unreachable"}}
    run = {"schema": 1, "at": AT, "exit": 3, "hosts": hosts, "open": known}
    (kept.directory / "2026-11-21T221904Z.json").write_text(json.dumps(run))
    last = kept.again().newest(AT + 1)
    assert last is not None
    assert last.disks == {"gpu1": {"/": 5}, "gpu2": {}}
    assert kept.again().disks(AT + DAY)["gpu1"] == [(AT, {"/": 5})]
    now = open_findings(report(host("gpu1", swap_size="never_applied"), unreachable("gpu2")), {})
    assert last.open == now
    assert not compare(last.at, last.open, now).changed
    assert kept.said == []


def test_what_is_parsed_is_what_is_asked_for() -> None:
    with pytest.raises(InvalidRun, match="its schema is 3, not 2"):
        parse_run('{"schema": 3}')
