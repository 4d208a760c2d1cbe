"""Apps as the host has them: what is released, what became of it, and what is under way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.snapshot.probes import NotRead, Probes

UNIT = "gpuhost-release-{app}.service"
AT_WORK = ("active", "activating", "reloading", "deactivating")
# Of the year 9999, the last of calendars.
LAST_SECOND = 253402300800
VERIFIED = "verified"


@dataclass(frozen=True)
class Result:
    """What became of an attempt (result.json). Times in epoch seconds; gap_s: without an answer."""

    state: str = "unknown"
    kind: str = "release"
    stage: str = ""
    said: str = ""
    fix: str = ""
    restored: str = ""
    restore_said: str = ""
    backup: str = ""
    by: str = ""
    migrated: bool = False
    started: int | None = None
    ended: int | None = None
    gap_s: float | None = None


@dataclass(frozen=True)
class Attempt:
    """Something was begun and has not ended (attempt.json). kind: release, rollback, …"""

    kind: str = "release"
    id: str = ""
    by: str = ""
    started: int | None = None


@dataclass(frozen=True)
class Release:
    """A release's directory.

    + result: None while it is under way, or if it was cut off
    + rollback_of: the release whose files and images it brought back; "": it is one of its own
    """

    id: str
    inputs: str
    revision: str
    by: str
    project: str
    rollback_of: str
    result: Result | None

    @property
    def verified(self) -> bool:
        return self.result is not None and self.result.state == VERIFIED


@dataclass(frozen=True)
class Given:
    """The file with the secrets that came with a release."""

    sha256: str
    mode: str
    owner: str


@dataclass(frozen=True)
class Backup:
    """A backup by name. whole: its manifest, which is written last, is there."""

    name: str
    whole: bool


@dataclass(frozen=True)
class AppState:
    """One app on the host.

    + current: the id of the last verified release; None: none has been
    + releases: newest first
    + runner: the file in /opt/gpuhost/lib that its last release brought
    + at_work: its unit runs, or an attempt's lock is held; a backup holds it without one
    + given: of the current release
    """

    name: str
    current: str | None
    runner: str | None
    releases: tuple[Release, ...]
    attempt: Attempt | None
    at_work: bool
    given: Given | None
    backups: tuple[Backup, ...]

    def release(self, id: str | None) -> Release | None:
        return next((release for release in self.releases if release.id == id), None)

    @property
    def current_release(self) -> Release | None:
        return self.release(self.current)

    @property
    def newest(self) -> Release | None:
        return self.releases[0] if self.releases else None

    @property
    def under_way(self) -> Attempt | None:
        """What is being done now."""
        return (self.attempt or Attempt()) if self.at_work else None

    @property
    def cut_off(self) -> Attempt | None:
        """What was begun, and nothing is at it any more."""
        return None if self.at_work else self.attempt

    @property
    def project(self) -> str:
        """The Compose project of what runs, or of what was tried last."""
        known = self.current_release or self.newest
        return known.project if known and known.project else self.name


@dataclass(frozen=True)
class Apps:
    """Every app of the host, by name. runners: the files of /opt/gpuhost/lib, newest first."""

    by_name: Mapping[str, AppState]
    runners: tuple[str, ...]

    def get(self, name: str) -> AppState | None:
        return self.by_name.get(name)

    @classmethod
    def read(cls, probes: Probes) -> Apps:
        """None, where the host has no directory for them."""
        if "apps" not in probes:
            return cls({}, ())
        document = _object(_parsed(probes.output("apps")))
        at_work = frozenset(_at_work(probes))
        apps = [_app(value, at_work) for value in _objects(document.get("apps"))]
        return cls({app.name: app for app in apps}, _texts(document.get("runners")))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotRead(f"apps: the host's reply is no JSON: {error}") from error


def _at_work(probes: Probes) -> Iterable[str]:
    for block in probes.output("app_units").split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        if values.get("ActiveState") in AT_WORK:
            yield values.get("Id", "")


def _app(value: Mapping[str, Any], at_work: frozenset[str]) -> AppState:
    name = _text(value.get("name"))
    given, attempt = value.get("given"), value.get("attempt")
    return AppState(
        name=name,
        current=_text(value.get("current")) or None,
        runner=_text(value.get("runner")) or None,
        releases=tuple(map(_release, _objects(value.get("releases")))),
        attempt=None if attempt is None else _attempt(_object(attempt)),
        at_work=(value.get("locked") is True and attempt is not None)
        or UNIT.format(app=name) in at_work,
        given=None if given is None else _given(_object(given)),
        backups=tuple(
            Backup(_text(backup.get("name")), bool(backup.get("manifest")))
            for backup in _objects(value.get("backups"))
        ),
    )


def _release(value: Mapping[str, Any]) -> Release:
    result = value.get("result")
    return Release(
        id=_text(value.get("id")),
        inputs=_text(value.get("inputs")),
        revision=_text(value.get("revision")),
        by=_text(value.get("by")),
        project=_text(value.get("project")),
        rollback_of=_text(value.get("rollback_of")),
        result=None if result is None else _result(_object(result)),
    )


def _result(value: Mapping[str, Any]) -> Result:
    return Result(
        state=_text(value.get("state")) or "unknown",
        kind=_text(value.get("kind")) or "release",
        stage=_text(value.get("stage")),
        said=_text(value.get("said")),
        fix=_text(value.get("fix")),
        restored=_text(value.get("restored")),
        restore_said=_text(value.get("restore_said")),
        backup=_text(value.get("backup")),
        by=_text(value.get("by")),
        migrated=value.get("migrated") is True,
        started=_seconds(value.get("started")),
        ended=_seconds(value.get("ended")),
        gap_s=_number(value.get("gap_s")),
    )


def _attempt(value: Mapping[str, Any]) -> Attempt:
    return Attempt(
        kind=_text(value.get("kind")) or "release",
        id=_text(value.get("id")),
        by=_text(value.get("by")),
        started=_seconds(value.get("started")),
    )


def _given(value: Mapping[str, Any]) -> Given:
    return Given(*(_text(value.get(key)) for key in ("sha256", "mode", "owner")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(_text, value))) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON's reader knows infinities, and integers that no float holds.
    return float(value) if abs(value) < LAST_SECOND else None


def _seconds(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number < LAST_SECOND else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
