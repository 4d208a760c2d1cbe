"""systemd's units: those that a reader declares, and all that have failed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from gpuhost.domain.docker.ulimits import Limit, limit
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

CONTAINERD = "containerd.service"
ENGINE = "docker.service"
ENGINE_SOCKET = "docker.socket"

REQUEST = Request(
    units=(ENGINE, ENGINE_SOCKET, CONTAINERD),
    probes=(
        ProbeCommand(
            "units",
            "systemctl show --no-pager -p Id -p LoadState -p ActiveState -p SubState"
            " -p UnitFileState -p ActiveEnterTimestamp -p InactiveExitTimestamp -p Listen"
            " -p LimitNOFILE -p LimitNOFILESoft -p WantedBy -p RequiredBy",
            arguments="units",
        ),
        ProbeCommand(
            "failed_units",
            "systemctl list-units --state=failed --plain --full --no-legend --no-pager",
        ),
        # A masked unit is a link to /dev/null, or an empty file, in one of these (systemd.unit(5)).
        ProbeCommand(
            "masked_units",
            "find /etc/systemd/system /run/systemd/system -maxdepth 1 -name '*.*' "
            "'(' -lname /dev/null -o -type f -empty ')' -printf '%f\\n'",
            at_once=True,
        ),
        # What `systemctl enable --root=/` and `add-wants` write: systemd shows it after a reload.
        ProbeCommand(
            "wanted_units",
            "find /etc/systemd/system -mindepth 2 -maxdepth 2 "
            "'(' -path '*.wants/*' -o -path '*.requires/*' ')' -printf '%f\\n'",
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class Unit:
    """A systemd unit.

    + started: epoch seconds when it became active; None: it is not active
    + began: when that start began; None also in old recordings
    + masked: nothing can start it
    + refused: systemd found a mistake in its files: the next start fails
    + failed: it ended with an error, also if systemd tries again
    + static: it cannot be enabled: its files do not say what should start it
    + listens: addresses of a socket unit, as systemd writes them
    + nofile: open files of its processes; None also in old recordings
    """

    name: str
    loaded: bool
    active: bool
    enabled: bool
    started: int | None
    began: int | None = None
    masked: bool = False
    refused: bool = False
    failed: bool = False
    static: bool = False
    listens: tuple[str, ...] = ()
    nofile: Limit | None = None


def read_units(probes: Probes) -> Mapping[str, Unit]:
    """The declared units, as systemd shows them, and as the next boot finds their links."""
    links = probes.get("wanted_units").out if "wanted_units" in probes else ""
    return _units(probes.output("units"), links)


def read_unit(probes: Probes, name: str) -> Unit:
    """A unit; one that systemd does not know is not loaded, active or enabled."""
    return read_units(probes).get(name, Unit(name, False, False, False, None))


@lru_cache(maxsize=4)
def _units(output: str, links: str) -> Mapping[str, Unit]:
    units, wanted = {}, frozenset(links.splitlines())
    for block in output.split("\n\n"):
        pairs = [line.partition("=")[::2] for line in block.splitlines()]
        values = dict(pairs)
        if values.get("Id"):
            units[values["Id"]] = Unit(
                name=values["Id"],
                loaded=values.get("LoadState") == "loaded",
                active=values.get("ActiveState") == "active",
                enabled=_starts_at_boot(values, wanted),
                started=_epoch(values.get("ActiveEnterTimestamp", "")),
                began=_epoch(values.get("InactiveExitTimestamp", "")),
                masked=values.get("LoadState") == "masked",
                refused=values.get("LoadState") in ("bad-setting", "error"),
                failed=values.get("ActiveState") == "failed"
                or values.get("SubState") == "auto-restart",
                static=values.get("UnitFileState") == "static",
                listens=tuple(text for key, text in pairs if key == "Listen"),
                nofile=limit(values.get("LimitNOFILESoft"), values.get("LimitNOFILE")),
            )
    return MappingProxyType(units)


def _starts_at_boot(values: Mapping[str, str], wanted: Collection[str]) -> bool:
    """A static unit cannot be enabled: it starts if another one wants it. systemd keeps what it
    found when it loaded a unit: a link that was made since counts too.
    """
    state = values.get("UnitFileState", "")
    if state in ("enabled", "alias", "generated"):
        return True
    if state == "static" and (values.get("WantedBy") or values.get("RequiredBy")):
        return True
    return state in ("static", "disabled") and values["Id"] in wanted


def _epoch(timestamp: str) -> int | None:
    """`Sat 2026-11-21 21:55:03 UTC`; the collector sets TZ=UTC, so no other zone is possible."""
    match = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", timestamp)
    if not match:
        return None
    return int(datetime.fromisoformat(f"{match.group()}+00:00").timestamp())


@dataclass(frozen=True)
class Units:
    """failed, masked: every unit, by name; declared: the declared ones, whatever their state."""

    failed: tuple[str, ...]
    declared: Mapping[str, Unit]
    masked: tuple[str, ...] = ()

    @classmethod
    def read(cls, probes: Probes) -> Units:
        lines = (line.split() for line in probes.output("failed_units").splitlines())
        failed = tuple(sorted(words[0] for words in lines if words[2:3] == ["failed"]))
        masked = tuple(sorted(set(probes.output("masked_units").splitlines())))
        return cls(failed, read_units(probes), masked)
