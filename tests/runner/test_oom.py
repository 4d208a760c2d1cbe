"""Processes that the kernel killed for lack of memory, from its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.runner.failures import oom
from tests.runner.fake_tools import Docker, docker

__all__ = ["docker"]

HOST = "Out of memory: Killed process 7 (python3) total-vm:9kB, anon-rss:1048576kB, file-rss:0kB"
OLD_KERNEL = "Out of memory: Kill process 7 (my (odd) name) score 900 or sacrifice child"
GROUP = "Memory cgroup out of memory: Killed process 8 (node) total-vm:9kB, anon-rss:524288kB"


@pytest.fixture(autouse=True)
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(oom, "VMSTAT", tmp_path / "vmstat")
    oom.VMSTAT.write_text("nr_free_pages 1\noom_kill 4\n")
    return oom.VMSTAT


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[    1.000000] a\n", f"[  100.5] {HOST}\n", "the host ran out of memory, and the kernel "
         "killed python3 (1.0 GB)"),
        ("", f"[    0.5] {OLD_KERNEL}\n", "killed my (odd) name"),
        ("[    1.000000] a\n", f"[  100.5] {GROUP}\n", "a memory limit was reached"),
        # The last of two kills.
        ("", f"[ 1.5] {GROUP}\n[ 2.5] {HOST}\n", "python3"),
        ("", f"[ 1.5] {HOST}\n[ 2.5] {GROUP}\n[ 3.5] usb\n", "node"),
        (f"[  100.5] {HOST}\n", "[  101.0] usb 1-1: new\n", None),
        ("", "", None),
        ("", f"{HOST}\n", None),
    ],
)  # fmt: skip
def test_the_last_kill_in_the_kernel_log(
    docker: Docker, before: str, after: str, said: str | None
) -> None:
    docker.kernel_log.write_text(before)
    moment = oom.current_moment()
    docker.kernel_log.write_text(before + after)
    found = oom.killed_since(moment)
    assert (said is None) == (found is None)
    if found and said:
        assert said in found[0]
        assert found[1]


def test_without_a_kernel_log_the_counter_shows_a_kill(docker: Docker, counted: Path) -> None:
    docker.kernel_log.unlink()
    moment = oom.current_moment()
    assert oom.killed_since(moment) is None
    counted.write_text("oom_kill 5\n")
    found = oom.killed_since(moment)
    assert found is not None
    assert "cannot be read" in found[0]
    counted.unlink()
    assert oom.killed_since(moment) is None
