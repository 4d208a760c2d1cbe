"""The log of a release, and commands that write to it, on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert outcome.out.startswith("1\n2\n")
