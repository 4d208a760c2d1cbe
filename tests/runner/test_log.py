"""The log of a release, and commands that print into it, on a disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.runner.lib import commands
from gpuhost.runner.lib.log import Log

FULL = Path("/dev/full")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    with pytest.raises(OSError, match="No space left"):
        FULL.write_text("what everybody else is told")
    log = Log(FULL)
    log.write("no space left on this device")
    log.stage("build")
    assert FULL.is_char_device()


def test_a_command_is_read_to_its_end_though_the_log_takes_nothing() -> None:
    words = ("sh", "-c", "seq 1 50000; echo the reason; exit 7")
    outcome = commands.try_run(Log(FULL), *words, seconds=60)
    assert (outcome.status, outcome.tail[-1]) == (7, "the reason")
    assert outcome.out.startswith("1\n2\n")
