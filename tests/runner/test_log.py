"""The log of a release, and commands that write to it, on a full disk."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpuhost.rollout.progress import Progress
from gpuhost.runner.contract import RELEASE, Masking, Operation, Result
from gpuhost.runner.lib import commands, files, running
from gpuhost.runner.lib import log as log_module
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state import follow
from gpuhost.runner.state.journal import BEGIN, END, Journal

FULL = Path("/dev/full")


def test_a_log_that_cannot_be_written_does_not_stop_a_release() -> None:
    with pytest.raises(OSError, match="No space left"):
        FULL.write_text("written without Log")
    log = Log(FULL)
    log.write("no space left on this device")
    log.stage("build")
    assert FULL.is_char_device()


def test_the_output_of_a_command_is_read_if_the_log_cannot_be_written() -> None:
    words = ("sh", "-c", "seq 1 50000; echo the reason; exit 7")
    outcome = commands.try_run(Log(FULL), *words, seconds=60)
    assert (outcome.status, outcome.tail[-1]) == (7, "the reason")
    assert outcome.tail[0] == "49972"


def test_a_quiet_command_returns_its_output_and_another_only_its_end(tmp_path: Path) -> None:
    words = ("sh", "-c", "seq 1 5000; echo the warning >&2")
    quiet = commands.try_run(Log(tmp_path / "quiet"), *words, seconds=60, quiet=True)
    assert (quiet.out.split()[4999], quiet.tail) == ("5000", ("the warning",))
    shown = commands.try_run(Log(tmp_path / "shown"), *words, seconds=60)
    assert (shown.out, len(shown.tail)) == ("", running.TAIL)
    assert (tmp_path / "shown").read_text().count("\n") == 5001


def test_a_line_without_an_end_is_cut_and_no_secret_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LONGEST_LINE", 1000)
    log = Log(tmp_path / "log")
    log.mask(["s3cret-value"])
    # The secret lies across the place of the cut.
    text = f"{'x' * 994}s3cret-value{'y' * 5000}"
    script = f"echo {text}; echo {'z' * 999}; printf last"
    lines: list[str] = []
    commands.try_run(log, "sh", "-c", script, seconds=60, on_line=lines.append)
    assert [len(line) for line in lines] == [1000 - Masking(["s3cret-value"]).longest + 2, 999, 4]
    assert lines[0].startswith("xxx") and lines[0].endswith("x …")
    assert "s3c" not in (tmp_path / "log").read_text()


def test_of_many_long_lines_of_errors_the_beginnings_are_kept(tmp_path: Path) -> None:
    """A hundred thousand of them, of 64 KiB each, would be the memory of the host."""
    line = "x" * 50_000
    script = f"yes {line} | head -n 40 >&2"
    outcome = commands.try_run(Log(tmp_path / "log"), "sh", "-c", script, seconds=60, quiet=True)
    assert [len(line) for line in outcome.err] == [running.LONGEST_KEPT] * 40
    assert {len(line) for line in outcome.tail} == {running.LONGEST_KEPT}


def test_a_carriage_return_makes_no_line_for_a_reader_of_lines(tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = commands.try_run(
        Log(tmp_path / "log"),
        *("printf", r"50%%\r100%%\nnext\r\n"),
        seconds=60,
        on_line=lines.append,
    )
    assert lines == ["50%\r100%", "next"]
    assert outcome.tail == ("50%", "100%", "next")
    logged = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in logged] == ["50%", "100%", "next"]


def test_a_program_that_writes_a_file_without_end_is_ended(tmp_path: Path) -> None:
    target = tmp_path / "dump"
    with pytest.raises(Failure, match=r"pg_dump: more than 2 MB, and then the disk"):
        commands.stream(
            Log(tmp_path / "log"),
            *("sh", "-c", "yes; yes"),
            seconds=600,
            what="pg_dump",
            target=target,
            room=2 << 20,
        )
    assert not target.exists()


def test_noise_is_in_the_log_only(tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = commands.try_run(
        Log(tmp_path / "log"), "printf", "step 1\nreason\n", seconds=60,
        on_line=lines.append, noise=re.compile("^step"),
    )  # fmt: skip
    assert (outcome.tail, lines) == (("reason",), ["reason"])
    assert "step 1" in (tmp_path / "log").read_text()


def test_a_log_has_a_largest_size_and_what_gpuhost_says_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LARGEST_LOG", 10_000)
    monkeypatch.setattr(log_module, "LARGEST", 11_000)
    log = Log(tmp_path / "log")
    commands.try_run(log, "sh", "-c", "seq 100000 200000", seconds=60)
    log.stage("restore")
    log.write("FAILED: the reason")
    text = (tmp_path / "log").read_text()
    assert len(text) < 10_500
    assert text.count(log_module.FULL) == 1
    assert [line[9:] for line in text.splitlines()[-2:]] == ["== restore", "FAILED: the reason"]
    for number in range(1000):
        log.write(f"warning {number}")
    assert (tmp_path / "log").stat().st_size < 11_500


def test_of_a_quiet_command_so_much_output_is_kept_and_it_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MOST_OUTPUT", 100_000)
    script = "yes a line of a log | head -c 5000000; echo; echo the last; echo the end >&2"
    words = ("sh", "-c", script)
    log = Log(tmp_path / "log")
    outcome = commands.try_run(log, *words, seconds=60, quiet=True, large=True)
    assert (outcome.status, outcome.is_cut, outcome.ok) == (0, True, False)
    assert 0 < len(outcome.out) <= 100_000
    # The newest lines of a container's log tell whether it is ready.
    lines = outcome.out.splitlines()
    assert (lines[0], lines[-1]) == ("a line of a log", "the last")
    assert outcome.tail == ("the end",)
    with pytest.raises(Failure, match=r"docker ps printed more than"):
        commands.run(log, *words, seconds=60, what="docker ps", quiet=True)
    with pytest.raises(Failure, match=r"sh -c printed more than"):
        commands.try_run(log, *words, seconds=60, quiet=True)


def test_results_hold_the_last_lines_of_a_tool_and_their_beginnings() -> None:
    lines = tuple(f"{number} {'x' * 10_000}" for number in range(100))
    operation = Operation(RELEASE, "id", "me", 0.0)
    texts = dict.fromkeys(("said", "fix", "restore_said"), "x" * 10000)
    details = {**texts, "output": lines, "logs": lines[:3]}
    result = Result.of(operation, "tts", "failed", **details)
    assert [line.split()[0] for line in result.output] == [str(n) for n in range(40, 100)]
    shown = (result.said, result.fix, result.restore_said, *result.output, *result.logs)
    assert {len(line) for line in shown} == {2000}


def test_what_a_result_says_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.mask(["s3cret-value"])
    said = log.said(f"{'x' * 1994}s3cret-value {'y' * 4_000_000}")
    assert (len(said), said[1990:]) == (2000, "xxxx*** y…")


def test_of_a_history_that_has_grown_large_the_newer_half_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 10_000)
    for number in range(3000):
        files.append(tmp_path / "history", f'{{"number": {number}}}')
    lines = [json.loads(line) for line in (tmp_path / "history").read_text().splitlines()]
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(numbers[0], 3000))
    assert 200 < len(numbers) < 700


def test_of_a_history_with_huge_lines_the_last_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 10_000)
    for number in range(60):
        files.append(tmp_path / "history", f"{number} {'x' * 9_000 * (number > 55)}")
    numbers = [int(line.split()[0]) for line in (tmp_path / "history").read_text().splitlines()]
    assert numbers == list(range(numbers[0], 60))
    assert len(numbers) >= files.LEAST_LINES


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """A file cannot grow further: as on a full disk, the beginning of a line is written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.note(BEGIN, "build")
    before = (tmp_path / "journal").read_bytes()
    with at_most(len(before) + 10), pytest.raises(OSError, match="too large"):
        journal.note(END, "build")
    assert (tmp_path / "journal").read_bytes() == before
    journal.note(BEGIN, "up")
    read = Journal(tmp_path / "journal")
    assert [(e.event, e.stage) for e in read.entries] == [(BEGIN, "build"), (BEGIN, "up")]
    assert not read.is_damaged


@pytest.mark.parametrize("before", ["", "one\n"])
def test_the_next_line_takes_the_place_of_one_that_a_power_cut_ended(
    tmp_path: Path, before: str
) -> None:
    (tmp_path / "history").write_text(f"{before}tw")
    files.append(tmp_path / "history", "three")
    assert (tmp_path / "history").read_text() == f"{before}three\n"


def test_half_a_character_in_an_answer_is_kept(tmp_path: Path) -> None:
    value = {"said": "the answer begins: \ud800"}
    files.write_json(tmp_path / "result.json", value)
    files.append(tmp_path / "history", json.dumps(value, ensure_ascii=False))
    assert files.read_json(tmp_path / "result.json") == value
    assert json.loads((tmp_path / "history").read_text()) == value


@pytest.mark.parametrize("separator", ["\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("marker", ["== verify", "FAILED in up: y", "10:00:00 == verify"])
def test_no_program_and_no_text_of_one_starts_or_fails_a_stage(
    tmp_path: Path, separator: str, marker: str
) -> None:
    log, said, warned = Log(tmp_path / "log"), [], []
    log.stage("build")
    text = f"{marker}{separator}{marker}{separator}"
    commands.try_run(log, "printf", "%s", text, seconds=60)
    log.write(f"{marker}: {text}")
    log.loud(text)
    log.failed("build", text)
    progress = Progress(said.append, warned.append)
    progress.read((tmp_path / "log").read_text().splitlines())
    progress.end()
    assert (said, [line.split()[0] for line in warned]) == ([], ["build"])
    assert marker in (tmp_path / "log").read_text()


def test_the_longest_line_of_a_program_is_followed_whole(tmp_path: Path) -> None:
    """Else its program could choose what the next part of the log begins with."""
    line = "\U0001f600" * (running.LONGEST_LINE * 2)
    commands.try_run(Log(tmp_path / "log"), "cat", stdin=line, seconds=60)
    assert (tmp_path / "log").stat().st_size < follow.MAX_BYTES
