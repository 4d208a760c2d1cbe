"""The log of a release, and commands that write to it, on a full disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuhost.runner.contract import Masking
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.log import Log

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
    assert (shown.out, len(shown.tail)) == ("", commands.TAIL)
    assert (tmp_path / "shown").read_text().count("\n") == 5001


def test_a_line_without_an_end_is_cut_and_no_secret_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "LONGEST_LINE", 1000)
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


def test_noise_is_in_the_log_only(tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = commands.try_run(
        Log(tmp_path / "log"), "printf", "step 1\nreason\n", seconds=60,
        on_line=lines.append, noise=re.compile("^step"),
    )  # fmt: skip
    assert (outcome.tail, lines) == (("reason",), ["reason"])
    assert "step 1" in (tmp_path / "log").read_text()
