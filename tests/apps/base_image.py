"""The image that stand-ins are built from: Debian with Python, made by mmdebstrap and cached."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.lab import images
from tests.lab.hosts import LabHost
from tests.lab.process import need, progress, run
from tests.lab.state import folder, locked

NAME = "stand-in/python"
RELEASE = "bookworm"
INCLUDED = ("python3", "curl", "ca-certificates")
# Manuals and translations are half of it.
SLIM = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
)


def load(host: LabHost) -> None:
    """Have it in a host's engine."""
    if host.run(f"docker image inspect {NAME}", check=False).status == 0:
        return
    host.run(f"docker import - {NAME}", stdin=_tar().read_bytes(), timeout=180)


def _tar() -> Path:
    recipe = hashlib.sha256("\n".join((RELEASE, *INCLUDED, *SLIM)).encode()).hexdigest()[:12]
    tar = folder() / "images" / f"stand-in-python-{recipe}.tar.gz"
    with locked("stand-in"):
        if not tar.exists():
            _build(tar)
    return tar


def _build(tar: Path) -> None:
    need("mmdebstrap")
    progress(f"building the image {NAME} (about a minute)")
    tar.parent.mkdir(parents=True, exist_ok=True)
    beside = tar.with_name(f"part-{tar.name}")
    options = [f"--dpkgopt={line}" for line in SLIM]
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", *options]
    run([*argv, RELEASE, str(beside), *images.archives(RELEASE)], timeout=1200)
    beside.replace(tar)
