"""Where no lab can run its tests are skipped aloud, and in CI the run fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Not root, as far as Python can tell: the lab's first condition.
WITHOUT_ROOT = """
import os, sys, pytest
os.geteuid = lambda: 1000
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "tests/lab/test_driver_packages.py"]))
"""


def run_without_root(ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_ROOT],
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_lab_tests_are_skipped_with_reason_and_count() -> None:
    done = run_without_root("")
    assert done.returncode == pytest.ExitCode.OK
    assert "4 skipped" in done.stdout
    assert "NOT TESTED on real hosts: 4 lab tests were skipped: not root" in done.stdout


def test_lab_tests_must_run_in_ci() -> None:
    done = run_without_root("true")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "4 lab tests must run in CI, and cannot: not root" in done.stderr
