"""The kernel's log: the host sends only errors of cards, each of them once."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gpuhost.domain.nvidia.refusals import parse_refusals
from gpuhost.domain.nvidia.xid import CardError, parse
from gpuhost.snapshot.kernel_log import CARD_ERRORS
from tests.nvidia.fixtures import table
from tests.snapshot.local import collect, command

LOG = """\
2026-11-21T20:00:00,000001+00:00 NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01
2026-11-21T20:00:59,000001+00:00 usb 1-1: new high-speed USB device number 2
2026-11-21T20:01:00,000001+00:00 NVRM: GPU at PCI:0000:05:00: GPU-efbdfde9-5798-a6e7
2026-11-21T20:02:00,000001+00:00 NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=7194, Contained: CE
2026-11-21T20:03:00,000001+00:00 NVRM: The NVIDIA GPU 0000:b3:00.0
2026-11-21T20:03:00,000002+00:00 NVRM: (PCI ID: 10de:26b5) installed in this system has
2026-11-21T20:03:00,000003+00:00 NVRM: fallen off the bus and is not responding to commands.
2026-11-21T20:05:00,000001+00:00 NVRM: GPU 0000:05:00.0: RmInitAdapter failed! (0x24:0x72:1447)
2026-11-21T20:06:00,000001+00:00 nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 3
2026-11-21T20:07:00,000001+00:00 NVRM: Xid (0000:03:00): 13, 0005 00000000 0000502d 00000104
"""
STORM = "2026-11-21T20:01:0%d,000001+00:00 NVRM: Xid (PCI:0000:05:00): 31, pid=%d, name=python3\n"


@pytest.mark.slow
def test_each_error_once_with_its_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(STORM % (second % 10, second) for second in range(1000)) + LOG)
    command(tmp_path / "bin", "nvidia-smi", "exit 9")
    command(tmp_path / "bin", "dmesg", f"cat {log}")
    reply = collect(commands=tmp_path / "bin")
    errors = reply.snapshot.kernel_log.card_errors
    assert [(error.card, error.name, error.times, error.last[-9:]) for error in errors] == [
        ("0000:05:00", "Xid 31", 1000, "20:01 UTC"),
        ("0000:01:00", "Xid 94", 1, "20:02 UTC"),
        ("0000:b3:00", "Xid 79", 1, "20:03 UTC"),
        ("0000:05:00", "the driver could not start it", 1, "20:05 UTC"),
        ("0000:c1:00", "SXid 12028", 1, "20:06 UTC"),
        ("0000:03:00", "Xid 13", 1, "20:07 UTC"),
    ]
    assert errors[0].text.endswith("pid=999, name=python3")
    assert len(reply.probes.get("kernel_log").out) < 1000


@pytest.mark.slow
def test_a_host_without_the_driver_is_not_asked(tmp_path: Path) -> None:
    assert "kernel_log" not in collect().probes


@pytest.mark.parametrize("line", ["", "\t", "x\ty z", "1\t", "1\tmoment", "²\ta NVRM: Xid (a): 1"])
def test_other_lines_are_ignored(line: str) -> None:
    assert parse(f"{line}\n1\t- NVRM: Xid (PCI:0000:84:00): 13, a\n") == (
        CardError("0000:84:00", 13, 1, "an unknown time", "NVRM: Xid (PCI:0000:84:00): 13, a"),
    )


@pytest.mark.parametrize("case", table("refusals"), ids=lambda case: case["name"])
def test_cards_that_the_driver_does_not_take(case: dict[str, Any]) -> None:
    lines = case["log"].splitlines()
    log = "\n".join(x if x.startswith(" ") else f"2026-11-21T20:01:59,1+00:00 {x}" for x in lines)
    awk = ["awk", CARD_ERRORS]
    done = subprocess.run(awk, input=f"{log}\n", capture_output=True, text=True, check=True)
    refusals, errors = parse_refusals(done.stdout), parse(done.stdout)
    assert {refusal.card for refusal in refusals} == case["refused"].keys()
    for refusal in refusals:
        assert case["refused"][refusal.card] in refusal.reason.cause
        assert refusal.reason.fix and refusal.text
    assert [error.name for error in errors] == case.get("errors", [])
    assert all(error.last == "2026-11-21 20:01 UTC" for error in errors)
    assert all(re.search(case.get("remedy", ""), error.meaning.remedy) for error in errors)
