"""daemon.json together with what the unit gives dockerd: both make the engine's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.domain.docker.flags import in_both
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.docker_unit import UnitFlag
from gpuhost.snapshot.units import ENGINE

RELOAD = "systemctl daemon-reload"
# Of docker_config.sh itself.
NOT_VALIDATED = ("config-file", "validate")


@dataclass(frozen=True)
class UnitFault:
    """Why daemon.json cannot hold these settings, or has no effect."""

    reason: str
    fix: str


def unit_fault(snapshot: Snapshot, values: Mapping[str, Any]) -> UnitFault | None:
    """What in the engine's unit prevents these settings; None: nothing that is known.

    + values: daemon.json as it should be
    """
    unit = snapshot.docker_unit
    if unit.unread:
        files = ", ".join(unit.unread)
        return UnitFault(f"systemd has not read {files} yet: the next boot uses it", RELOAD)
    file = unit.value("config-file")
    if file not in (None, "", DAEMON_JSON):
        flag = next(str(each) for each in unit.flags or () if each.flag.name == "config-file")
        return UnitFault(f"the engine reads {file}, not {DAEMON_JSON}: {flag}", _remove(flag))
    twice = _in_both(snapshot, values)
    if not twice:
        return None
    listed = ", ".join(f"{each.flag.key} ({each})" for each in twice)
    return UnitFault(
        f"dockerd does not start with a setting both as a flag and in {DAEMON_JSON}: {listed}",
        _remove(", ".join(str(each) for each in twice)),
    )


def _in_both(snapshot: Snapshot, values: Mapping[str, Any]) -> list[UnitFlag]:
    flags = snapshot.docker_unit.flags or ()
    clashing = in_both((each.flag for each in flags), values)
    return [each for each in flags if each.flag in clashing]


def _remove(flags: str) -> str:
    return f"remove {flags}, then {RELOAD}; gpuhost sets what is declared in {DAEMON_JSON}"


@dataclass(frozen=True)
class Switch:
    """A setting that is on or off, and where it stands."""

    on: bool
    source: str


def switch(snapshot: Snapshot, name: str) -> Switch | None:
    """A switch of the engine, by its flag or its key: dockerd does not start with both."""
    given = [each for each in snapshot.docker_unit.flags or () if each.flag.name == name]
    if given:
        return Switch(given[-1].flag.value.lower() in ("", "1", "t", "true"), str(given[-1]))
    value = (snapshot.docker.config.values or {}).get(name)
    return Switch(value, f'"{name}" in {DAEMON_JSON}') if isinstance(value, bool) else None


def untried(snapshot: Snapshot) -> str:
    """Why only a start of the engine can show whether it takes a daemon.json; "": dockerd tells."""
    unit = snapshot.docker_unit
    if unit.flags is not None:
        return ""
    return f"{ENGINE} starts {unit.program}, so dockerd's flags are not known"


def validation_words(snapshot: Snapshot) -> list[str]:
    """The unit's flags, for `dockerd --validate`."""
    words = []
    for each in snapshot.docker_unit.flags or ():
        if each.flag.name not in NOT_VALIDATED:
            words.append(
                f"--{each.flag.name}={each.flag.value}"
                if each.flag.value
                else "--" + each.flag.name
            )
    return words
