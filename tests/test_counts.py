"""How much there is: a check or a test that vanishes fails here, and a new one is added here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gpuhost.checks.registry import all_checks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "apt": 5,
    "build": 1,
    "disk": 5,
    "docker": 9,
    "drift": 4,
    "firewall": 8,
    "memory": 2,
    "nginx": 3,
    "nvidia": 13,
    "proxy": 3,
    "swap": 4,
    "system": 13,
    "toolkit": 6,
}
LAB_TESTS = {
    "tests/e2e/test_apt.py": 17,
    "tests/e2e/test_bootstrap.py": 7,
    "tests/e2e/test_build_cache.py": 18,
    "tests/e2e/test_docker.py": 22,
    "tests/e2e/test_drift.py": 22,
    "tests/e2e/test_drift_timer.py": 14,
    "tests/e2e/test_firewall.py": 24,
    "tests/e2e/test_firewall_undone.py": 4,
    "tests/e2e/test_firewall_used.py": 1,
    "tests/e2e/test_killed_controller.py": 12,
    "tests/e2e/test_local.py": 1,
    "tests/e2e/test_matrix.py": 10,
    "tests/e2e/test_nginx.py": 8,
    "tests/e2e/test_nvidia.py": 28,
    "tests/e2e/test_ready_host.py": 21,
    "tests/e2e/test_release.py": 11,
    "tests/e2e/test_release_apps.py": 21,
    "tests/e2e/test_release_broken.py": 16,
    "tests/e2e/test_release_cut.py": 18,
    "tests/e2e/test_release_life.py": 3,
    "tests/e2e/test_swap.py": 23,
    "tests/e2e/test_system.py": 25,
    "tests/e2e/test_toolkit.py": 26,
    "tests/lab/test_driver_packages.py": 4,
    "tests/lab/test_lab.py": 35,
    "tests/lab/test_packages.py": 15,
    "tests/release/test_on_host.py": 10,
    "tests/vm/test_vm.py": 10,
}


def test_checks_by_noun() -> None:
    assert Counter(check.noun for check in all_checks()) == CHECKS


def test_lab_tests_by_file() -> None:
    """Everything on real hosts, the matrix and the virtual machine included."""
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "lab or vm", "tests"]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert Counter(line.partition("::")[0] for line in collected) == LAB_TESTS, done.stdout[-2000:]


def _environment() -> dict[str, str]:
    # What is to be counted is there on every machine, whether or not it could run on this one.
    return {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")}
