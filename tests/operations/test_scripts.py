"""The scripts that are sent to hosts: no daemon that hangs can block them."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

SCRIPTS = {
    file.name: file.read_text(encoding="utf-8")
    for file in files("gpuhost.remote").iterdir()
    if file.name.endswith(".sh")
}
# The start of a command, and the commands that wait for a daemon or for the kernel.
BEGINS = r"(?:^|[|&;({]|\b(?:if|then|do|else|xargs(?: -r)?)\b)[ \t]*"
WAITS = (
    r"(?:docker|systemctl|journalctl|timedatectl|modprobe|ldconfig|mkswap|swapon|swapoff|blkid)[ ]"
)


def unbounded(text: str) -> list[str]:
    return re.findall(rf"(?m){BEGINS}{WAITS}.*", text)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_wait_has_a_limit(name: str) -> None:
    assert unbounded(SCRIPTS[name]) == []


def test_bounded_waits_are_accepted() -> None:
    waits = [
        line
        for text in SCRIPTS.values()
        for line in re.findall(rf"timeout(?: -k \d+)? \S+ {WAITS}", text)
    ]
    assert len(waits) >= 25


@pytest.mark.parametrize(
    "line",
    [
        "tar -cf - . | docker import -",
        "    systemctl start a",
        "x=$(docker info)",
        "xargs -r docker rm",
        'if is_active; then swapoff "$path"; fi',
        '[ "$(timedatectl show -p NTPSynchronized)" = yes ]',
    ],
)
def test_an_unbounded_wait_is_found(line: str) -> None:
    assert len(unbounded(f"set -u\n{line}\n")) == 1


@pytest.mark.parametrize(
    ("timedatectl", "waited"),
    [
        ("echo yes", []),
        ("echo no", [9, 7, 5, 3, 1]),
        ("exit 1", [4, -3]),
        ("if [ -e asked ]; then echo yes; else : >asked; echo no; fi", [9]),
    ],
    ids=["synchronised", "no server", "no answer", "synchronised later"],
)
def test_wait_for_the_clock(tmp_path: Path, timedatectl: str, waited: list[int]) -> None:
    for name, text in (("timedatectl", timedatectl), ("sleep", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-s", "--", "9"],
        input=SCRIPTS["clock_synchronised.sh"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "".join(f"waiting for a time server: {left} s left\n" for left in waited)
