"""daemon.json, what gpuhost wrote in it, and what it last activated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.domain.docker.daemon_file import parse
from gpuhost.snapshot.paths import Paths
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import Request

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_RECORD = "/var/lib/gpuhost/docker.json"
# daemon.json as gpuhost last activated it.
APPLIED = "/var/lib/gpuhost/docker/daemon.json.applied"
REQUEST = Request(files=(DAEMON_JSON, DOCKER_RECORD, APPLIED), managed=(DAEMON_JSON,))


@dataclass(frozen=True)
class DaemonConfig:
    """daemon.json.

    + values: None if it is not a JSON object
    + owned: paths of the keys that gpuhost wrote, "log-opts.max-size"
    + fault: why the engine does not start with it; "": it does
    + applied: what gpuhost last activated
    """

    values: dict[str, Any] | None
    owned: tuple[str, ...]
    fault: str = ""
    applied: Mapping[str, Any] = field(default_factory=dict)

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
    return DaemonConfig(file.values, _owned(probes.file(DOCKER_RECORD)), file.fault, applied)


def _text(probes: Probes) -> str | None:
    text = probes.file(DAEMON_JSON)
    if text is None and "stat" in probes:
        state = Paths.read(probes).get(DAEMON_JSON)
        return "" if state and not state.size else None
    return text


def _owned(record: str | None) -> tuple[str, ...]:
    keys = (parse(record).values or {}).get("daemon_json")
    return tuple(str(key) for key in keys) if isinstance(keys, list) else ()
