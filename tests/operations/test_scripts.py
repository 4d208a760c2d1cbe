"""The scripts that are sent to hosts: no daemon that hangs can block them."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from gpuhost.remote.commands import docker, own_engine, script_text

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


ASKS = re.compile(rf"(?m){BEGINS}timeout [^|;&]*?\bdocker ")


def test_docker_asks_the_hosts_own_engine(tmp_path: Path) -> None:
    """Whatever /etc/environment names: every script that calls docker, and single commands."""
    asking = {name for name, text in SCRIPTS.items() if ASKS.search(script_text(name))}
    assert asking == {"docker_config.sh", "engine_restart.sh", "toolkit_prove.sh"}
    assert all(own_engine() in script_text(name) for name in asking)
    (tmp_path / "docker").write_text('#!/bin/sh\necho "$* ${DOCKER_HOST-none} $DOCKER_CONTEXT"\n')
    (tmp_path / "docker").chmod(0o755)
    command = docker("image", "rm", "a b").get_raw_value()
    path = f"{tmp_path}:{os.environ['PATH']}"
    other = {"DOCKER_HOST": "tcp://192.0.2.1:2375", "DOCKER_CONTEXT": "other", "PATH": path}
    shown = subprocess.check_output(["sh", "-c", command], env=other, text=True)
    assert shown == "image rm a b none default\n"


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
