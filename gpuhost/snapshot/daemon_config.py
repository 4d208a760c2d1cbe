"""daemon.json, what gpuhost wrote in it, and what it last activated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from gpuhost.domain.docker.daemon_file import parse
from gpuhost.domain.redact import redact_credentials
from gpuhost.snapshot.paths import Paths
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_RECORD = "/var/lib/gpuhost/docker.json"
# daemon.json as gpuhost last activated it.
APPLIED = "/var/lib/gpuhost/docker/daemon.json.applied"
# dockerd's own judgement, of the file that it reads, with the flags of its unit. Words that systemd
# or the shell would change are not known here: then it judges the file alone.
VALIDATE = r"""
argv=$(sed -n 's/^ExecStart=.*; argv\[\]=[^ ]*dockerd \(.*\) ; ignore_errors=.*/\1/p' "$1")
case $argv in *[!A-Za-z0-9_=:/.,@%+~\ -]*) argv= ;; esac
set -f
exec dockerd --validate $argv
"""
# dockerd follows links in its data-root, and `docker info` says where they lead.
DATA_ROOT = rf"""
key='"data-root"[[:space:]]*:[[:space:]]*'
root=$(sed -n "s|.*$key\"\(/[^\"\\]*\)\".*|\1|p" {DAEMON_JSON} 2>/dev/null)
[ ! "$root" ] || exec readlink -m -- "$root"
"""
NO_VALIDATE = "unknown flag: --validate"  # Docker before 23.0
# A value with a blank became two words: it says nothing about the file.
NO_ARGUMENTS = "accepts no argument"
LONGEST_COMPLAINT = 400
REQUEST = Request(
    files=(DAEMON_JSON, DOCKER_RECORD, APPLIED),
    managed=(DAEMON_JSON,),
    probes=(
        ProbeCommand("docker_data_root", f"sh -c {quote(DATA_ROOT)}", at_once=True),
        # Only what the engine has not started with: it costs as much as all else about Docker.
        ProbeCommand(
            "docker_validation",
            f'sh -c {quote(VALIDATE)} sh "$work/docker_unit.out"',
            only_if=f"engine_is_behind /run/docker.pid {DAEMON_JSON}",
            last=True,
        ),
    ),
)


@dataclass(frozen=True)
class DaemonConfig:
    """daemon.json.

    + values: None if it is not a JSON object
    + owned: paths of the keys that gpuhost wrote, "log-opts.max-size"
    + fault: why the engine does not start with it; "": it does
    + applied: what gpuhost last activated
    + refused: dockerd's words about settings that it does not start with; "": it has none
    + untried: the engine has not started with it, and dockerd cannot tell whether it will
    + root: where its data-root leads; "": it has none, or that was not read
    """

    values: dict[str, Any] | None
    owned: tuple[str, ...]
    fault: str = ""
    applied: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    untried: bool = False
    root: str = ""

    @property
    def is_ours_and_broken(self) -> bool:
        return self.values is None and bool(self.owned)

    @property
    def usable(self) -> dict[str, Any]:
        """The settings to build on: those of a file that cannot be read are the last applied."""
        return dict(self.applied) if self.values is None else self.values


def read_daemon_config(probes: Probes, major: int | None) -> DaemonConfig:
    """+ major: the major version of the engine, None if it is not known"""
    file = parse(_text(probes), major)
    applied = parse(probes.file(APPLIED)).values or {}
    owned = _owned(probes.file(DOCKER_RECORD))
    root = probes.get("docker_data_root").out.strip() if "docker_data_root" in probes else ""
    return DaemonConfig(file.values, owned, file.fault, applied, *_validated(probes), root)


def _validated(probes: Probes) -> tuple[str, bool]:
    """What dockerd refuses, and whether it could not tell."""
    if "docker_validation" not in probes:
        return "", False
    probe = probes.get("docker_validation")
    if probe.rc == 0 or NO_ARGUMENTS in probe.err:
        return "", False
    if probe.rc not in (1, 125) or NO_VALIDATE in probe.err:
        return "", True
    # The help follows.
    first = next((line for line in probe.err.splitlines() if line.strip()), "no reason is given")
    words = first.strip().removeprefix("Status: ")
    return redact_credentials(words[:LONGEST_COMPLAINT]), False


def _text(probes: Probes) -> str | None:
    text = probes.file(DAEMON_JSON)
    if text is None and "stat" in probes:
        state = Paths.read(probes).get(DAEMON_JSON)
        return "" if state and not state.size else None
    return text


def _owned(record: str | None) -> tuple[str, ...]:
    keys = (parse(record).values or {}).get("daemon_json")
    return tuple(str(key) for key in keys) if isinstance(keys, list) else ()
