"""The wall clock tells people when something was; no duration, limit or order is by it.

Who may read it is listed here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gpuhost.runner

PACKAGE = Path(gpuhost.runner.__file__).parent
# Without an argument they are of now.
OF_NOW = {"ctime", "gmtime", "localtime", "strftime"}
READS = {"time", "time_ns", "now", "utcnow", "today"}
ALLOWED = {
    # When an operation or an event began or ended, or a line was written.
    *("contract/result.py", "state/journal.py", "stages/carry_out.py", "stages/engine.py"),
    *(
        "stages/removal.py",
        "stages/restore.py",
        "stages/transaction.py",
        "data/backup.py",
        "lib/log.py",
    ),
    # A name with the time in it; the numbers give the order.
    "stages/restore_state.py",
    # And what a clock that was ahead has made.
    "data/stored.py",
    # How far it was set.
    "lib/boot_time.py",
    # Compared with the engine's times of containers and logs, which have no other clock.
    *("docker/app_log.py", "docker/containers.py", "docker/health_tests.py"),
    "stages/verification.py",
    # The age of a log that no boot time is known of.
    "data/rotation.py",
    # With the time of a file.
    "stages/runner_cleanup.py",
}


def reads_of_the_wall_clock(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
            yield from (node for name in node.names if name.name in {*READS, *OF_NOW})
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        least = 2 if node.func.attr == "strftime" else 1
        is_of_now = node.func.attr in OF_NOW and len(node.args) < least
        of = node.func.value
        is_time = isinstance(of, ast.Name) and of.id in ("time", "datetime", "date")
        if is_time and (node.func.attr in READS or is_of_now):
            yield node


def test_only_listed_modules_read_the_wall_clock() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(reads_of_the_wall_clock(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found - ALLOWED == set(), "use time.monotonic(), or lib/boot_time.py across processes"
    assert "state/journal.py" in found
