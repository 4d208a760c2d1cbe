"""The id of every check, and the number of lab tests by file: a missing one fails here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gpuhost.checks.deployed import all_deployed_checks, host_checks
from gpuhost.checks.preflight import all_app_checks
from gpuhost.checks.registry import all_checks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
CHECKS = [
    "apt.cloud_init",
    "apt.duplicates",
    "apt.fresh",
    "apt.mirror",
    "apt.readable",
    "apt.release",
    "apt.sources",
    "build.apt_cache",
    "disk.free",
    "disk.full",
    "disk.inodes",
    "disk.mounts",
    "disk.writable",
    "docker.buildx",
    "docker.compose",
    "docker.config",
    "docker.engine",
    "docker.engines",
    "docker.listens",
    "docker.live",
    "docker.memory",
    "docker.network",
    "docker.packages",
    "docker.repository",
    "docker.storage",
    "docker.swap_accounting",
    "drift.account",
    "drift.checkout",
    "drift.command",
    "drift.key",
    "drift.reports",
    "drift.timer",
    "firewall.allow",
    "firewall.closed",
    "firewall.confirmed",
    "firewall.enabled",
    "firewall.foreign",
    "firewall.loaded",
    "firewall.published",
    "firewall.reached",
    "firewall.ssh",
    "memory.available",
    "memory.total",
    "nginx.package",
    "nginx.renewal",
    "nginx.running",
    "nvidia.branch",
    "nvidia.card",
    "nvidia.clocks",
    "nvidia.count",
    "nvidia.cuda",
    "nvidia.driver",
    "nvidia.errors",
    "nvidia.fabric_manager",
    "nvidia.hold",
    "nvidia.licence",
    "nvidia.link",
    "nvidia.memory",
    "nvidia.mig",
    "nvidia.next_boot",
    "nvidia.nouveau",
    "nvidia.nvlink",
    "nvidia.persistence",
    "nvidia.repository",
    "nvidia.secure_boot",
    "nvidia.state",
    "nvidia.stuck",
    "proxy.apt",
    "proxy.client",
    "proxy.engine",
    "swap.boot",
    "swap.mode",
    "swap.size",
    "swap.swappiness",
    "system.apt_idle",
    "system.clock",
    "system.dpkg",
    "system.files",
    "system.hostname",
    "system.init",
    "system.masked",
    "system.privileges",
    "system.python",
    "system.reboot",
    "system.ssh",
    "system.supported",
    "system.units",
    "system.updates",
    "toolkit.cdi",
    "toolkit.config",
    "toolkit.held",
    "toolkit.packages",
    "toolkit.proof",
    "toolkit.reload",
    "toolkit.repository",
    "toolkit.runtime",
    "watch.engine_units",
    "watch.files",
]
PREFLIGHT_CHECKS = [
    "app.binds",
    "app.busy",
    "app.cards",
    "app.cuda",
    "app.disk",
    "app.engine",
    "app.host",
    "app.limits",
    "app.memory",
    "app.names",
    "app.networks",
    "app.ports",
    "app.project",
    "app.secrets",
    "app.unfinished",
    "app.variant",
    "app.vram",
]
DEPLOYED_CHECKS = [
    "app.NAME.backups",
    "app.NAME.cards",
    "app.NAME.certificate",
    "app.NAME.containers",
    "app.NAME.directories",
    "app.NAME.files",
    "app.NAME.health",
    "app.NAME.images",
    "app.NAME.live",
    "app.NAME.oom",
    "app.NAME.ports",
    "app.NAME.release",
    "app.NAME.restarts",
    "app.NAME.site",
    "app.NAME.verified",
    "app.state",
    "docker.published",
]
LAB_TESTS = {
    "tests/e2e/test_apt.py": 17,
    "tests/e2e/test_bootstrap.py": 7,
    "tests/e2e/test_build_cache.py": 28,
    "tests/e2e/test_docker.py": 34,
    "tests/e2e/test_drift.py": 23,
    "tests/e2e/test_docker_others.py": 9,
    "tests/e2e/test_drift_timer.py": 16,
    "tests/e2e/test_engine_limits.py": 9,
    "tests/e2e/test_firewall.py": 24,
    "tests/e2e/test_firewall_kernel.py": 4,
    "tests/e2e/test_firewall_others.py": 7,
    "tests/e2e/test_firewall_undone.py": 5,
    "tests/e2e/test_firewall_used.py": 1,
    "tests/e2e/test_killed_controller.py": 13,
    "tests/e2e/test_local.py": 1,
    "tests/e2e/test_matrix.py": 10,
    "tests/e2e/test_nginx.py": 8,
    "tests/e2e/test_nvidia.py": 29,
    "tests/e2e/test_old_host.py": 5,
    "tests/e2e/test_ready_host.py": 21,
    "tests/e2e/test_real_libcuda.py": 4,
    "tests/e2e/test_release.py": 12,
    "tests/e2e/test_release_abort.py": 5,
    "tests/e2e/test_release_apps.py": 28,
    "tests/e2e/test_release_broken.py": 16,
    "tests/e2e/test_release_compose.py": 5,
    "tests/e2e/test_release_cut.py": 18,
    "tests/e2e/test_release_life.py": 3,
    "tests/e2e/test_set_up_by_others.py": 10,
    "tests/e2e/test_swap.py": 23,
    "tests/e2e/test_system.py": 25,
    "tests/e2e/test_toolkit.py": 27,
    "tests/e2e/test_toolkit_cuda.py": 8,
    "tests/lab/test_driver_packages.py": 4,
    "tests/lab/test_lab.py": 38,
    "tests/lab/test_packages.py": 15,
    "tests/lab/test_real_driver.py": 18,
    "tests/release/test_on_host.py": 9,
    "tests/vm/test_vm.py": 10,
}


def test_checks_of_a_host() -> None:
    assert [check.id for check in all_checks()] == CHECKS


def test_checks_before_a_release() -> None:
    assert [check.id for check in all_app_checks()] == PREFLIGHT_CHECKS


def test_checks_of_a_deployed_app() -> None:
    assert [check.id for check in [*all_deployed_checks(), *host_checks()]] == DEPLOYED_CHECKS


def test_lab_tests_by_file() -> None:
    """All tests on real hosts, including the matrix and the virtual machine."""
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "lab or vm", "tests"]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert Counter(line.partition("::")[0] for line in collected) == LAB_TESTS, done.stdout[-2000:]


def _environment() -> dict[str, str]:
    # All tests are counted, even if they cannot run on this machine.
    return {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")}
