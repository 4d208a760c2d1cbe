"""The directory of earlier runs: what is saved, deleted and ignored."""

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


class Runs:
    """A history and its messages."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.messages: list[str] = []
        assert self.again().prepare() == ""

    def again(self) -> History:
        """The history as the next run opens it."""
        return History(self.directory, self.messages.append)

    def save(self, run: DriftReport) -> None:
        self.again().save(run, open_findings(run, {}))

    @property
    def names(self) -> list[str]:
        return sorted(file.name for file in self.directory.iterdir())


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def test_a_saved_run_is_read_again(runs: Runs) -> None:
    gpu1 = replace(host("gpu1", swap_size="drift", disk_full="ok"), disks={"/": 5})
    runs.save(report(gpu1, unreachable("gpu2")))
    run = runs.again().newest(AT + 1)
    assert run is not None
    assert run.at == AT
    assert run.open == {"gpu1": {"swap.size": "drift"}, "gpu2": {"host.read": "unreachable"}}
    assert run.disks == {"gpu1": {"/": 5}, "gpu2": {}}
    assert runs.messages == []


def test_a_file_is_the_report_without_ok_findings(runs: Runs) -> None:
    run = report(host("gpu1", swap_size="drift", disk_full="ok", memory_total="skip"))
    runs.save(run)
    assert runs.names == ["2026-11-21T221904Z.json"]
    text = (runs.directory / runs.names[0]).read_text()
    assert text.count("\n") == 1
    found = json.loads(text)
    assert found.pop("open") == {"gpu1": {"swap.size": "drift"}}
    assert found["hosts"][0].pop("disks") == {}
    expected = run.to_json()
    del expected["hosts"][0]["findings"][1:]
    assert found == expected


def test_a_hundred_ok_hosts_need_little_space(runs: Runs) -> None:
    good = {f"noun_{place}": "ok" for place in range(60)}
    runs.save(report(*(host(f"gpu{place}", **good) for place in range(100))))
    assert (runs.directory / runs.names[0]).stat().st_size < 20_000


def test_of_a_host_with_too_many_disks_the_fullest_are_kept(runs: Runs) -> None:
    """60,000 mounts would be 5 MB a night."""
    disks = {f"/mnt/{place:060}": 10**12 - place for place in range(60_000)}
    runs.save(report(replace(host("gpu1"), disks=disks)))
    assert (runs.directory / runs.names[0]).stat().st_size < 30_000
    stored = json.loads((runs.directory / runs.names[0]).read_text())["hosts"][0]
    assert stored["more_disks"] == 59_800
    run = runs.again().newest(AT)
    assert run is not None
    assert run.disks["gpu1"] == dict(list(disks.items())[:-201:-1])


def test_the_history_is_readable_by_its_owner_only(runs: Runs) -> None:
    runs.save(report(host("gpu1", swap_size="drift")))
    assert stat.S_IMODE(runs.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((runs.directory / runs.names[0]).stat().st_mode) == 0o600


def test_the_oldest_runs_are_deleted(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_RUNS", 3)
    (runs.directory / "notes.txt").touch()
    for day in range(5):
        runs.save(report(host("gpu1", swap_size="drift"), at=AT + day * DAY))
    assert runs.names == [
        "2026-11-23T221904Z.json",
        "2026-11-24T221904Z.json",
        "2026-11-25T221904Z.json",
        "notes.txt",
    ]


def test_a_failed_write_leaves_the_last_run_intact(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.save(report(host("gpu1", swap_size="drift")))
    before = runs.names

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        runs.save(report(host("gpu1", swap_size="ok"), at=AT + 1))
    assert runs.names == before


BROKEN_AT = 1795305600


def of_the_disk(free: str) -> str:
    hosts = f'[{{"host":"gpu1","disks":{{"/":{free}}}}}]'
    return f'{{"schema":1,"at":{BROKEN_AT},"open":{{}},"hosts":{hosts}}}'


BROKEN = {
    "empty": "",
    "truncated": '{"schema":1,"at":17952',
    "a list": "[]",
    "null": "null",
    "another schema": '{"schema":3}',
    "no open": f'{{"schema":1,"at":{AT},"hosts":[]}}',
    "an invalid host": f'{{"schema":1,"at":{BROKEN_AT},"open":{{}},"hosts":[1]}}',
    "open is a list": f'{{"schema":1,"at":{BROKEN_AT},"open":[],"hosts":[]}}',
    "nested too deeply": "[" * 100_000,
    "an invalid time": '{"schema":1,"at":"x","open":{},"hosts":[]}',
    "an infinite time": '{"schema":1,"at":1e999,"open":{},"hosts":[]}',
    "a time out of range": '{"schema":1,"at":99999999999999,"open":{},"hosts":[]}',
    "a time that differs from its name": f'{{"schema":1,"at":{AT + 5},"open":{{}},"hosts":[]}}',
    "an infinite disk": of_the_disk("1e999"),
    "a disk with an impossible size": of_the_disk("1" + 400 * "0"),
    "a disk with a negative size": of_the_disk("-1"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_damaged_run_is_ignored(runs: Runs, text: str) -> None:
    runs.save(report(host("gpu1", swap_size="drift")))
    broken = runs.directory / "2026-11-22T000000Z.json"
    broken.write_text(text)
    again = runs.again()
    for _ in range(2):
        run = again.newest(AT + DAY)
        assert run is not None
        assert run.at == AT
        assert set(again.disks(AT + DAY)) == {"gpu1"}
    (message,) = runs.messages
    assert message.startswith(f"{broken} is ignored: ")
    assert "\n" not in message


def test_the_damaged_runs_differ_from_a_valid_one_in_their_content_only(runs: Runs) -> None:
    (runs.directory / "2026-11-22T000000Z.json").write_text(of_the_disk("5"))
    assert runs.again().disks(AT + DAY) == {"gpu1": [(BROKEN_AT, {"/": 5})]}


def test_foreign_files_are_ignored_and_left_alone(runs: Runs) -> None:
    (runs.directory / "README").write_text("Runs of the nightly check.")
    (runs.directory / "2026-11-21T000000Z.json.bak").write_text("{}")
    (runs.directory / ".2026-11-21T000000Z.json.x.new").write_text("{")
    (runs.directory / "2026-11-21T010000Z.json").mkdir()
    (runs.directory / "2026-11-21T020000Z.json").write_bytes(b"\xff\xfe")
    assert runs.again().newest(AT) is None
    assert len(runs.messages) == 4
    assert len(runs.names) == 5


def test_a_run_from_the_future_is_not_the_newest(runs: Runs) -> None:
    runs.save(report(host("gpu1", swap_size="drift"), at=AT + 9999 * DAY))
    runs.save(report(host("gpu1", swap_size="drift")))
    run = runs.again().newest(AT + DAY)
    assert run is not None
    assert run.at == AT


def test_the_trend_uses_some_of_many_runs(runs: Runs) -> None:
    for hour in range(100):
        runs.save(report(replace(host("gpu1", a_b="ok"), disks={"/": hour}), at=AT + hour * 3600))
    runs.save(report(replace(host("gpu1", a_b="ok"), disks={"/": 1}), at=AT - 31 * DAY))
    found = runs.again().disks(AT + 100 * 3600)["gpu1"]
    assert 20 <= len(found) <= 30
    assert found[0] == (AT + 99 * 3600, {"/": 99})
    assert min(at for at, _ in found) >= AT


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "File exists" in History(file, print).prepare()
    assert "No such file" in History(tmp_path / "no" / "runs", print).prepare()
    assert History(Path("/proc/self"), print).prepare().startswith("cannot write in /proc/self")


def test_a_run_of_schema_1_is_an_earlier_run(runs: Runs) -> None:
    """Written by a version with the cause `new` and the key `standing`."""
    finding = {"id": "swap.size", "status": "fail", "cause": "new", "accepted": False}
    hosts = [
        {"host": "gpu1", "standing": "pending", "findings": [finding], "disks": {"/": 5}},
        {"host": "gpu2", "standing": "unreachable", "findings": [], "disks": {}},
    ]
    known = {"gpu1": {"swap.size": "new"}, "gpu2": {"host.read": "unreachable"}}
    run = {"schema": 1, "at": AT, "exit": 3, "hosts": hosts, "open": known}
    (runs.directory / "2026-11-21T221904Z.json").write_text(json.dumps(run))
    last = runs.again().newest(AT + 1)
    assert last is not None
    assert last.disks == {"gpu1": {"/": 5}, "gpu2": {}}
    assert runs.again().disks(AT + DAY)["gpu1"] == [(AT, {"/": 5})]
    now = open_findings(report(host("gpu1", swap_size="never_applied"), unreachable("gpu2")), {})
    assert last.open == now
    assert not compare(last.at, last.open, now).changed
    assert runs.messages == []


def test_an_unknown_schema_is_refused() -> None:
    with pytest.raises(InvalidRun, match="its schema is 3, not 2"):
        parse_run('{"schema": 3}')
