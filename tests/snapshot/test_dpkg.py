"""What keeps dpkg from working, read by the real commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.dpkg import OVERRIDES, OWNERS, Dpkg

NOTHING = Probe(0)
PROBES = {
    **dict.fromkeys(("files", "packages", "processes", "dpkg_updates", "apt_locks"), NOTHING),
    "dpkg_unfinished": Probe(1),
}


@pytest.mark.parametrize(
    ("overrides", "unknown"),
    [
        pytest.param("root root 755 /srv/a b\n", (), id="they exist"),
        pytest.param("#110 #1 755 /srv\n", (), id="numbers"),
        pytest.param("gone-u root 755 /srv/a b\nroot root 4755 /x\n", ("/srv/a b",), id="no user"),
        pytest.param("root gone-g 755 /srv\ngone-u gone-g 755 /x\n", ("/srv", "/x"), id="no group"),
    ],
)
def test_the_owners_of_overrides(tmp_path: Path, overrides: str, unknown: tuple[str, ...]) -> None:
    file = tmp_path / "statoverride"
    file.write_text(overrides)
    script = OWNERS.replace(OVERRIDES, str(file))
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    probes = Probes({**PROBES, "dpkg_overrides": Probe(0, done.stdout, done.stderr)})
    assert Dpkg.read(probes).unknown_owners == unknown
