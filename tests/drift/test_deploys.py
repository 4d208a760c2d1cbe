"""deploys/drift.py and deploys/drift_timer.py as a user runs them, on simulated hosts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from gpuhost.checks.finding import Finding, Status
from gpuhost.drift.applied import document
from gpuhost.settings import Settings
from gpuhost.snapshot.applied import APPLIED
from tests.cli.conftest import Run, Workplace
from tests.cli.conftest import sshd as sshd
from tests.cli.conftest import workplace as workplace
from tests.cli.sshd import Sshd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")


def pyinfra(workplace: Workplace, hosts: dict[str, dict[str, object]], *words: str) -> Run:
    inventory = str(workplace.inventory(hosts))
    return workplace.run(str(PYINFRA), inventory, *words, timeout=120)


def applied(*ids: str) -> str:
    """The record of a host where these checks were ok."""
    good = [Finding(Status.OK, id=id) for id in ids]
    text = document(None, Settings(), good, at=1795290000, by="ada@desk")
    assert text is not None
    return text


def test_a_host_that_has_drifted_fails(workplace: Workplace, sshd: Sshd) -> None:
    drifted = sshd.recorded("drifted", files={APPLIED: applied("swap.size")})
    hosts = {
        "127.0.0.2": sshd.login(drifted),
        "127.0.0.3": sshd.login(sshd.recorded("never")),
    }
    run = pyinfra(workplace, hosts, "-y", str(ROOT / "deploys" / "drift.py"))
    assert run.exit == 1
    assert run.err.count("drift swap.size: ") == 1
    assert run.err.count("never applied swap.size: ") == 1
    assert re.search(r"\[127\.0\.0\.2\]\s+Error", run.err)


def test_in_a_dry_run_nothing_changes(workplace: Workplace, sshd: Sshd) -> None:
    drifted = sshd.recorded("drifted", files={APPLIED: applied("swap.size")})
    hosts = {"127.0.0.2": sshd.login(drifted)}
    run = pyinfra(workplace, hosts, "--json", "--dry", str(ROOT / "deploys" / "drift.py"))
    assert run.exit == 0
    (operation,) = json.loads(run.out)["plan"]
    assert operation["hosts_with_change"] == []


def test_without_drift_directory_no_nightly_check_is_installed(
    workplace: Workplace, sshd: Sshd
) -> None:
    hosts = {"127.0.0.2": sshd.login(sshd.recorded("any"))}
    run = pyinfra(workplace, hosts, "-y", str(ROOT / "deploys" / "drift_timer.py"))
    assert "drift_directory is not set: no nightly check is installed" in run.err


def test_without_a_checkout_the_finding_is_shown_and_the_run_fails(
    workplace: Workplace, sshd: Sshd
) -> None:
    hosts = {"127.0.0.2": sshd.login(sshd.recorded("any"), drift_directory="/srv/gpuhost")}
    run = pyinfra(workplace, hosts, "-y", str(ROOT / "deploys" / "drift_timer.py"))
    assert run.exit == 1
    assert "drift: not changed: none of /srv/gpuhost/.venv/bin/gpuhost" in run.err
    assert "drift.command: none of /srv/gpuhost/.venv/bin/gpuhost" in run.err
