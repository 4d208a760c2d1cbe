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
    file = engine_setting(snapshot, "config-file")
    if file and file.value not in ("", DAEMON_JSON):
        reason = f"the engine reads {file.value}, not {DAEMON_JSON}: {file.source}"
        return UnitFault(reason, _remove(file.source))
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
class EngineSetting:
    """The value of a setting, and where it stands. Of a flag it is a text, "" for a switch."""

    value: Any
    source: str

    @property
    def removal(self) -> str:
        """The fix: what to remove, and the commands after it."""
        reload = "" if self.source.endswith(DAEMON_JSON) else f"{RELOAD} and "
        return f"remove {self.source}, then {reload}systemctl restart docker"


def engine_setting(snapshot: Snapshot, name: str) -> EngineSetting | None:
    """A setting, by its last flag or by its key, if both have this name: dockerd does not start
    with both.
    """
    flags = [each for each in snapshot.docker_unit.flags or () if each.flag.name == name]
    if flags:
        return EngineSetting(flags[-1].flag.value, str(flags[-1]))
    value = (snapshot.docker.config.values or {}).get(name)
    return None if value is None else EngineSetting(value, f'"{name}" in {DAEMON_JSON}')


def switch(snapshot: Snapshot, name: str) -> bool | None:
    """A setting that is on or off; None: it is not given."""
    given = engine_setting(snapshot, name)
    value = given.value if given else None
    if isinstance(value, str):
        return value.lower() in ("", "1", "t", "true")
    return value if isinstance(value, bool) else None


def disabled_by(snapshot: Snapshot, name: str) -> EngineSetting | None:
    """What turns a switch off; None: it is on, or not given."""
    return engine_setting(snapshot, name) if switch(snapshot, name) is False else None


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
