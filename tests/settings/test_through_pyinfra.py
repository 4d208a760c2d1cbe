"""Invalid settings in a real pyinfra run: one line, and only that host is skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sshd import packed
from tests.recorded import raw

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
FIRST, SECOND = "@fake/first", "@fake/second"


def plan(
    directory: Path, first: dict[str, Any], *options: str
) -> tuple[int, dict[str, Any], list[str]]:
    """Exit status, JSON plan and messages of a dry run on two recorded hosts.

    + first: the data of the first host; the second has none
    """
    reply = packed(raw({"host": "debian13"})).splitlines()
    fake = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": {"id -u": reply}}
    hosts = [(FIRST, {**fake, **first}), (SECOND, fake)]
    (directory / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    deploy = str(ROOT / "deploys" / "gpu_host.py")
    done = subprocess.run(
        [PYINFRA, "inventory.py", deploy, "--json", *options],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    messages = [line.strip() for line in done.stderr.splitlines() if "settings:" in line]
    return done.returncode, json.loads(done.stdout), messages


def planned(document: dict[str, Any]) -> set[str]:
    return {host for operation in document["plan"] for host in operation["hosts_with_change"]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"swap_size_gb": "16"}, "swap_size_gb = '16' (the inventory, host @fake/first): \"auto\""),
        ({"swap_sizegb": 16}, "unknown setting swap_sizegb (the inventory, host @fake/first): did"),
    ],
)
def test_other_hosts_continue(tmp_path: Path, data: dict[str, Any], says: str) -> None:
    status, document, messages = plan(tmp_path, data)
    assert status == 1
    assert planned(document) == {SECOND}
    (line,) = messages
    assert line.startswith(f"[{FIRST}]  settings: {says}")


def test_group_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "hosts.py").write_text('gpu = "yes"\n')
    status, document, messages = plan(tmp_path, {"gpu": "none"})
    assert status == 1
    assert planned(document) == {FIRST}
    (line,) = messages
    assert "gpu = 'yes' (group hosts): one of" in line


def test_other_data_is_ignored(tmp_path: Path) -> None:
    others = {"app_name": "tts", "ssh_user": "root", "_shell_executable": "sh", "owner": "me"}
    status, document, messages = plan(tmp_path, others)
    assert (status, messages) == (0, [])
    assert planned(document) == {FIRST, SECOND}


def test_the_shipped_group_data_changes_nothing(tmp_path: Path) -> None:
    """group_data/all.py has the defaults: with it and without it the plan is the same."""
    without = plan(tmp_path, {})
    shipped = plan(tmp_path, {}, "--group-data", str(ROOT / "group_data"))
    names = [[op["name"] for op in document["plan"]] for _, document, _ in (without, shipped)]
    assert names[0] == names[1] != []
