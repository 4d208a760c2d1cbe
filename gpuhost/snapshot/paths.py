"""Files and directories of the host: their text, owner, mode and hash."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# mode owner group size mtime kind-of-several-words /path
STAT_LINE = re.compile(r"([0-7]{1,5}) (\S+) (\S+) (\d{1,20}) (-?\d{1,20}) (.*?) (/.*)", re.ASCII)
STAT = "stat -c '%a %U %G %s %Y %F %n'"
REQUEST = Request(
    probes=(
        ProbeCommand("files", "grep -aH ''", arguments="files", at_once=True),
        ProbeCommand("stat", STAT, arguments="managed", at_once=True),
        ProbeCommand("hashes", "sha256sum", arguments="managed", at_once=True),
        ProbeCommand("paths", STAT, arguments="plain"),
    ),
)


@dataclass(frozen=True)
class PathState:
    """One path: mode as four octal digits, size in bytes, time of last change in epoch seconds."""

    path: str
    mode: str
    owner: str
    group: str
    size: int
    modified: int
    kind: str
    sha256: str | None = None


@dataclass(frozen=True)
class Paths:
    """Every path that was requested."""

    known: dict[str, PathState]

    def get(self, path: str) -> PathState | None:
        """The path's state; None if it does not exist."""
        return self.known.get(path)

    @classmethod
    def read(cls, probes: Probes) -> Paths:
        known: dict[str, PathState] = {}
        hashes = _hashes(probes)
        names = [name for name in ("stat", "paths") if name in probes]
        for name in names or ["stat"]:
            probe = probes.get(name)
            if probe.rc is None:
                raise NotRead(f"{name}: timed out")
            for line in probe.out.splitlines():
                state = _path_state(line, hashes)
                if state:
                    known[state.path] = state
        return cls(known)


def state_in(listed: str, path: str) -> PathState | None:
    """The state of one path in the output of `stat`; None if it is not there."""
    line = next((line for line in listed.splitlines() if line.endswith(f" {path}")), "")
    return _path_state(line, {})


def _hashes(probes: Probes) -> dict[str, str]:
    if "hashes" not in probes:
        return {}
    probe = probes.get("hashes")
    if probe.rc is None:
        raise NotRead("hashes: timed out")
    pairs = (line.partition("  ") for line in probe.out.splitlines())
    return {path: digest for digest, _, path in pairs}


def _path_state(line: str, hashes: dict[str, str]) -> PathState | None:
    match = STAT_LINE.fullmatch(line)
    if not match:
        return None
    mode, owner, group, size, modified, kind, path = match.groups()
    return PathState(
        path, mode.zfill(4), owner, group, int(size), int(modified), kind, hashes.get(path)
    )
