"""The scripts that are sent to hosts: a daemon that hangs holds none of them up."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

SCRIPTS = {
    file.name: file.read_text(encoding="utf-8")
    for file in files("gpuhost.operations").iterdir()
    if file.name.endswith(".sh")
}
# Where a command begins, and those that wait for a daemon or for the kernel.
BEGINS = r"(?:^|[|&;({]|\b(?:if|then|do|else|xargs(?: -r)?)\b)[ \t]*"
WAITS = r"(?:docker|systemctl|journalctl|modprobe|ldconfig)[ ]"


def unbounded(text: str) -> list[str]:
    return re.findall(rf"(?m){BEGINS}{WAITS}.*", text)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_what_waits_is_bounded(name: str) -> None:
    assert unbounded(SCRIPTS[name]) == []


def test_there_is_what_waits() -> None:
    found = [
        line
        for text in SCRIPTS.values()
        for line in re.findall(rf"timeout(?: -k \d+)? \S+ {WAITS}", text)
    ]
    assert len(found) >= 14


@pytest.mark.parametrize(
    "line",
    [
        "tar -cf - . | docker import -",
        "    systemctl start a",
        "x=$(docker info)",
        "xargs -r docker rm",
    ],
)
def test_an_unbounded_one_is_seen(line: str) -> None:
    assert len(unbounded(f"set -u\n{line}\n")) == 1
