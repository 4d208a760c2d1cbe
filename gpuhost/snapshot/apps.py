"""The apps of a host: releases, their results, and operations in progress."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from shlex import quote
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.app_name import NAME
from gpuhost.runner.contract import APPS, Operation, Result, backup_unit, release_unit
from gpuhost.snapshot.app_state import AppState, Backup, BackupUnits, Given, ReleaseState
from gpuhost.snapshot.apps_details import Details
from gpuhost.snapshot.lenient import mapping, mappings, seconds, text, texts
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# More than a server has room for.
MAX_APPS = 200
# Of a directory's name.
MAX_NAME = 255
AT_WORK = ("active", "activating", "reloading", "deactivating")
Units = Mapping[str, Mapping[str, str]]
READER, HELPERS = (
    resources("gpuhost.snapshot").joinpath(f"{name}_on_host.py").read_text(encoding="utf-8")
    for name in ("apps", "files")
)
# One program: the host has no package gpuhost. The import is one line.
IMPORT = re.compile(r"^from gpuhost\.snapshot\.files_on_host import [^\n(]*\n", re.MULTILINE)
PROGRAM = HELPERS + IMPORT.sub("", READER)
HAS_APPS = f"[ -d {APPS} ]"
REQUEST = Request(
    # What a release's own source and logs need: operations/app_tools.py.
    packages=("git", "openssh-client"),
    probes=(
        ProbeCommand(
            "apps", f"python3 -I -S -c {quote(PROGRAM)} {APPS}", seconds=20, only_if=HAS_APPS
        ),
        ProbeCommand(
            "app_units",
            "systemctl show --no-pager -p Id -p ActiveState -p Result "
            f"'{release_unit('*')}' '{backup_unit('*')}.service' '{backup_unit('*')}.timer'",
            only_if=HAS_APPS,
        ),
    ),
)


@dataclass(frozen=True)
class Apps:
    """Every app of the host, by name.

    + runners: the files of /opt/gpuhost/lib, newest first
    + booted: time of the boot, epoch seconds
    + misnamed: directories that look like an app's, such as a copy of one, with a name that no app
      can have
    """

    by_name: Mapping[str, AppState]
    runners: tuple[str, ...]
    booted: int | None = None
    misnamed: tuple[str, ...] = ()

    def get(self, name: str) -> AppState | None:
        return self.by_name.get(name)

    @classmethod
    def read(cls, probes: Probes) -> Apps:
        """Empty, if the host has no directory for apps."""
        if "apps" not in probes:
            return cls({}, ())
        document = mapping(_parsed(probes.output("apps")))
        units = dict(_units(probes))
        named = {text(app.get("name")): app for app in _bounded(mappings(document.get("apps")))}
        apps = {name: _app(app, units) for name, app in named.items() if _can_be_an_app(name)}
        misnamed = tuple(name[:MAX_NAME] for name in named if name not in apps)
        booted = seconds(document.get("booted"))
        return cls(apps, texts(document.get("runners")), booted, misnamed)


def _parsed(text: str) -> Any:
    try:
        return host_json.parse(text)
    except (ValueError, RecursionError) as error:
        raise NotRead(f"apps: not valid JSON: {error}") from error


def _bounded(apps: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Raises NotRead for more apps than there can be."""
    if len(apps) > MAX_APPS:
        raise NotRead(f"apps: the host names {len(apps)} apps; at most {MAX_APPS} are read")
    return apps


def _can_be_an_app(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and len(name) <= MAX_NAME


def _units(probes: Probes) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The units that systemd has loaded; the others do nothing."""
    for block in probes.output("app_units").split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        yield values.get("Id", ""), values


def _is_at_work(unit: Mapping[str, str] | None) -> bool:
    return unit is not None and unit.get("ActiveState") in AT_WORK


def _backup_units(name: str, units: Units) -> BackupUnits:
    unit = backup_unit(name)
    timer, service = units.get(f"{unit}.timer", {}), units.get(f"{unit}.service", {})
    failed = service.get("ActiveState") == "failed"
    return BackupUnits(
        timer.get("ActiveState") == "active",
        _is_at_work(service),
        (service.get("Result") or "failed") if failed else "",
    )


def _details(value: object) -> Details | str:
    if value is None:
        return "its current release is missing"
    try:
        return Details.of(mapping(value))
    except NotRead as reason:
        return str(reason)


def _app(value: Mapping[str, Any], units: Units) -> AppState:
    name = text(value.get("name"))
    given, attempt, restoring = (value.get(key) for key in ("given", "attempt", "restoring"))
    return AppState(
        name=name,
        current=text(value.get("current")) or None,
        runner=text(value.get("runner")) or None,
        releases=tuple(map(_release, mappings(value.get("releases")))),
        attempt=None if attempt is None else Operation.lenient(attempt),
        at_work=(value.get("locked") is True and attempt is not None)
        or _is_at_work(units.get(release_unit(name))),
        given=None if given is None else _given(mapping(given)),
        backups=tuple(
            Backup(
                text(backup.get("name")),
                bool(backup.get("manifest")),
                seconds(mapping(backup.get("manifest")).get("taken")),
            )
            for backup in mappings(value.get("backups"))
        ),
        backup_units=_backup_units(name, units),
        restoring=None if restoring is None else text(mapping(restoring).get("backup")),
        details=_details(value.get("details")),
    )


def _release(value: Mapping[str, Any]) -> ReleaseState:
    result = value.get("result")
    return ReleaseState(
        id=text(value.get("id")),
        inputs=text(value.get("inputs")),
        revision=text(value.get("revision")),
        by=text(value.get("by")),
        project=text(value.get("project")),
        rollback_of=text(value.get("rollback_of")),
        result=None if result is None else Result.lenient(result),
    )


def _given(value: Mapping[str, Any]) -> Given:
    return Given(*(text(value.get(key)) for key in ("sha256", "mode", "owner")))
