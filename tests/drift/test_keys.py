"""Lines of authorized_keys, read as hosts read them, and repaired as the finding says."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from gpuhost.checks.registry import finding_of
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.drift_keys import FILES, REQUEST
from tests.recorded import probes

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample gpuhost-drift@control"
FORCED = 'restrict,command="/usr/local/lib/gpuhost/read"'


def reading(home: Path) -> Snapshot:
    """Of a host whose only account with keys has this home."""
    command = REQUEST.probes[0].command.replace(FILES, f"{home}/.ssh/authorized_keys*")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    changed = {"drift_keys": {"rc": done.returncode, "out": done.stdout}}
    return Snapshot(probes("debian13", changed=changed))


def test_a_line_without_its_options_gets_them(tmp_path: Path) -> None:
    others = "ssh-rsa AAAAB3NzaC1yc2EAAAAexample ada@laptop\n"
    keys = tmp_path / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    lines = (
        KEY,
        f'from="192.0.2.7",environment="A=b c" {KEY}',
        f'command="/bin/own ssh-rsa x" {KEY}',
        f"{FORCED} {KEY}",
    )
    keys.write_text(others + "".join(f"{line}\n" for line in (f"# {KEY}", *lines)))
    finding = finding_of("drift.key", reading(tmp_path), Settings())
    assert finding.status.value == "warn"
    places = [f"{keys}:{number}" for number in (3, 4, 5)]
    assert finding.actual.startswith(f"not in {', '.join(places)}: ")

    _, _, fix = finding.fix.partition("; ")
    subprocess.run(["sh", "-c", fix], check=True)
    assert keys.read_text().splitlines() == [
        others.strip(),
        f"# {KEY}",
        f"{FORCED} {KEY}",
        f'{FORCED},from="192.0.2.7",environment="A=b c" {KEY}',
        f'restrict,command="/bin/own ssh-rsa x" {KEY}',
        f"{FORCED} {KEY}",
    ]
    assert finding_of("drift.key", reading(tmp_path), Settings()).status.value == "ok"
    assert shlex.quote(str(keys)) in fix


def test_no_key_of_a_nightly_check(tmp_path: Path) -> None:
    assert finding_of("drift.key", reading(tmp_path), Settings()).status.value == "skip"
