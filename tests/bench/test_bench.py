"""The output of the benchmarks. No test measures speed."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

import bench.__main__
from bench import lab, loopback, measure, page, result, startup
from bench.__main__ import PARTS, main
from bench.measure import Broken, Contender, Sample, run_in_rounds, timed
from bench.openssh import Login
from bench.result import Goal, Result, Table
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.request import Request

FOUND = Result(
    part="fleet",
    title="Ten hosts",
    machine="2 cores",
    tables=(Table(("", "wall"), (("gpuhost check", "1.0 s"),)),),
    goals=(Goal("as fast", 1.5, "<=", 1.0), Goal("faster than", 12.0, ">=", 10)),
    notes=("A note.",),
    on="2026-11-22",
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test writes no file into the repository."""
    monkeypatch.setattr(result, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(measure, "console", Console(file=io.StringIO()))


def test_a_goal_shows_whether_it_is_met() -> None:
    assert [goal.words for goal in FOUND.goals] == [
        ("1.50x", "<= 1x", "missed"),
        ("12.00x", ">= 10x", "met"),
    ]


def test_results_of_a_part_are_kept_for_the_page() -> None:
    FOUND.save()
    assert result.load("fleet") == FOUND
    page.write(PARTS)
    text = page.PAGE.read_text()
    assert "## Ten hosts\n\n2026-11-22, 2 cores.\n\nA note.\n" in text
    assert "|  | wall |\n|---|--:|\n| gpuhost check | 1.0 s |\n" in text
    assert "| as fast | 1.50x | <= 1x | missed |" in text
    page.show(FOUND)


def test_an_unknown_part_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleets"]) == 1
    assert ", ".join(PARTS) in capsys.readouterr().err
    assert not page.PAGE.exists()


# How a part ends.
ENDS: dict[str, BaseException | None] = {
    "measured": None,
    "not possible here": Broken("no Docker"),
    "a bug": KeyError("a bug"),
    "Ctrl-C": KeyboardInterrupt(),
}


@pytest.mark.parametrize("how", ENDS)
def test_its_hosts_are_taken_down(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a part ends; a run that booted none touches no lab."""
    end = ENDS[how]
    taken: list[str] = []

    def part() -> Result:
        monkeypatch.setattr(lab._booted, "lab", object())
        if end:
            raise end
        return FOUND

    monkeypatch.setattr(lab, "down", taken.append)
    monkeypatch.setattr(bench.__main__, "_part", lambda name: part)
    monkeypatch.setattr("compileall.compile_dir", lambda *_, **__: True)
    lab.take_down()
    assert taken == []
    with suppress(KeyError, KeyboardInterrupt):
        assert main(["fleet"]) == (0 if end is None else 1)
    assert taken == [lab.LAB]
    lab.take_down()
    assert taken == [lab.LAB]


def test_the_median_of_rounds() -> None:
    times = iter([3.0, 1.0, 2.0])
    results = run_in_rounds([Contender("one", lambda: Sample(next(times), 0.0, 0))], rounds=3)
    assert results["one"].seconds == 2.0


def test_a_contender_that_did_not_do_its_work_is_broken(tmp_path: Path) -> None:
    assert timed(["sh", "-c", "exit 2"], exits=(0, 2)).cpu >= 0
    with pytest.raises(Broken, match=r"(?s)ended with 3.*why"):
        timed(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(Broken):
        timed(["echo", "nothing"], is_complete=lambda out: "something" in out)
    (tmp_path / "given").write_text("hello")
    assert (
        timed(["cat"], stdin=tmp_path / "given", is_complete=lambda out: out == "hello").seconds > 0
    )


def test_a_login_is_one_line_for_xargs() -> None:
    line = Login("127.1.0.1", 22, "root", "/k", "/h").line()
    assert line.split()[-1] == "root@127.1.0.1"


def test_the_collector_has_the_lines_that_the_benchmark_changes() -> None:
    from bench.collector import START

    assert script(Request()).count(START) == 1


@pytest.mark.slow
def test_the_start_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "ROUNDS", 1)
    assert len(startup.startup().goals) == len(startup.VERBS)


@pytest.mark.slow
def test_hosts_on_loopback_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "SIZES", (2, 3))
    monkeypatch.setattr(loopback, "ROUNDS", {2: 1, 3: 1})
    hosts = loopback.loopback()
    assert len(hosts.tables[0].rows) == 7
    column = hosts.tables[0].headings.index("server CPU per host")
    assert all(float(row[column].removesuffix(" ms")) > 0 for row in hosts.tables[0].rows)
    assert hosts.goals
