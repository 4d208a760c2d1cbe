"""If the lab cannot run, its tests are skipped with a report; in CI the run fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Not root, as far as Python can tell: the lab's first condition. A plugin reaches workers too.
NOT_ROOT = "import os\nos.geteuid = lambda: 1000\n"
REPORT = "NOT TESTED on real hosts: 4 lab tests were skipped: not root"


def run_without_root(folder: Path, ci: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "nobody.py").write_text(NOT_ROOT)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "nobody"]
    return subprocess.run(
        [*argv, *options, "tests/lab/test_driver_packages.py"],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")])
def test_lab_tests_are_skipped_with_reason_and_count(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = run_without_root(tmp_path, "", *options)
    assert done.returncode == pytest.ExitCode.OK
    assert "4 skipped" in done.stdout
    assert REPORT in done.stdout


def test_lab_tests_must_run_in_ci(tmp_path: Path) -> None:
    done = run_without_root(tmp_path, "true")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "4 lab tests must run in CI, and cannot: not root" in done.stderr


def test_lab_tests_must_run_in_ci_with_several_workers_too(tmp_path: Path) -> None:
    done = run_without_root(tmp_path, "true", "-n", "2", "--dist", "loadfile")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert REPORT in done.stdout
