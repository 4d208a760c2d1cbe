"""The collector on this machine, with commands of a test that replace real ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Probes, Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.transport import decode

# The PATH that the collector sets. Tests put a folder before it, or replace it.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ASSIGNMENT = f"PATH={PATH}\n"


@dataclass(frozen=True)
class Reply:
    """The exit status and both outputs of the collector."""

    status: int
    out: bytes
    err: bytes

    @property
    def probes(self) -> Probes:
        return decode(self.out.decode().splitlines())

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.probes)


def collect(
    *,
    commands: Path | None = None,
    nothing_else: bool = False,
    unprivileged: bool = False,
    settings: Settings | None = None,
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
) -> Reply:
    """Run the collector as a host's shell does, from stdin.

    + commands: a folder of commands that are found first
    + nothing_else: no other commands are found
    + unprivileged: run as an unprivileged user, if this user is root
    + timeout: seconds for the whole run
    + environment: of the login, beside HOME and PATH
    """
    text = script(request_for(settings or Settings()))
    if text.count(ASSIGNMENT) != 1:
        raise AssertionError("the collector sets its PATH in another way")
    if commands is not None:
        path = str(commands) if nothing_else else f"{commands}:{PATH}"
        text = text.replace(ASSIGNMENT, f"PATH={path}\n")
    drop = unprivileged and os.geteuid() == 0
    done = subprocess.run(
        ["/bin/sh"],
        input=text.encode(),
        capture_output=True,
        timeout=timeout,
        cwd="/",
        env={"HOME": "/", "PATH": PATH, **(environment or {})},
        user=65534 if drop else None,
        group=65534 if drop else None,
        extra_groups=[] if drop else None,
    )
    return Reply(done.returncode, done.stdout, done.stderr)


def command(folder: Path, name: str, body: str) -> None:
    """Create a command for a test, a shell script."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
