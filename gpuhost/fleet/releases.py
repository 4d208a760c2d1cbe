"""The apps of a fleet: what was released on each host, by whom, and whether it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.fleet.host_pool import HostError, on_each_host, with_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import (
    HostStatus,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apps import VERIFIED, AppState, Attempt, Release
from gpuhost.snapshot.docker import Container

SCHEMA = 1
RESTORE_FAILED = "restore-failed"
UNDONE = "undone"


class Running(str, Enum):
    """How an app is.

    starting: a health check has not passed yet; broken: a container is down or unhealthy; stopped:
    none runs; not-released: no release was ever verified; restore-failed: neither the last release
    nor the one before it came up.
    """

    RUNNING = "running"
    STARTING = "starting"
    BROKEN = "broken"
    STOPPED = "stopped"
    NOT_RELEASED = "not-released"
    RESTORE_FAILED = "restore-failed"


@dataclass(frozen=True)
class AppReport:
    """An app on a host. containers: its own, without those of one command (`compose run`)."""

    state: AppState
    containers: tuple[Container, ...]
    engine_complaint: str = ""

    @property
    def running(self) -> Running:
        newest, current = self.state.newest, self.state.current_release
        if newest and newest.result and newest.result.state == RESTORE_FAILED:
            return Running.RESTORE_FAILED
        if current is None or not current.verified:
            return Running.NOT_RELEASED
        if not any(container.running for container in self.containers):
            return Running.STOPPED
        if any(map(_is_down, self.containers)):
            return Running.BROKEN
        if any(container.health == "starting" for container in self.containers):
            return Running.STARTING
        return Running.RUNNING

    @property
    def failed(self) -> Release | None:
        """The newest attempt, if it came to nothing."""
        newest = self.state.newest
        return newest if newest and newest.result and not newest.verified else None

    def to_json(self) -> dict[str, Any]:
        current, state = self.state.current_release, self.state
        result = current.result if current else None
        return {
            "app": state.name,
            "state": self.running.value,
            "ok": self.running is Running.RUNNING,
            "release": state.current,
            "revision": current.revision if current else None,
            "by": current.by if current else None,
            "since": result.ended if result else None,
            "containers": [_container(container) for container in self.containers],
            "under_way": _attempt(state.under_way),
            "cut_off": _attempt(state.cut_off),
            "failed": release_json(self.failed, state) if self.failed else None,
        }


@dataclass(frozen=True)
class HostApps:
    """One host: its apps, or why nothing is known of them."""

    host: str
    apps: tuple[AppReport, ...] = ()
    trouble: HostError | None = None

    def app(self, name: str) -> AppReport | None:
        return next((app for app in self.apps if app.state.name == name), None)

    def to_json(self) -> dict[str, Any]:
        status = self.trouble.status if self.trouble else HostStatus.OK
        reason = {"reason": self.trouble.sentence} if self.trouble else {}
        return {"host": self.host, "status": status.value, **reason}


@dataclass(frozen=True)
class FleetApps:
    """Every host, in the order of the inventory. name: the one app that was asked for."""

    hosts: tuple[HostApps, ...]
    name: str | None = None
    interrupted: bool = False

    @property
    def missing(self) -> str:
        """That no host has the app, in words; "" if one has, or not all could be read."""
        if self.name is None or any(host.apps or host.trouble for host in self.hosts):
            return ""
        return f"no host has an app {self.name}"

    def exit(self, *, judged: bool) -> Exit:
        """+ judged: an app that does not run counts"""
        troubles = [host.trouble for host in self.hosts if host.trouble]
        apps = [app.running for host in self.hosts for app in host.apps]
        applies = {
            Exit.INTERRUPTED: self.interrupted,
            Exit.USAGE: bool(self.missing) or any(one.bad_settings for one in troubles),
            Exit.UNKNOWN: bool(troubles),
            Exit.FAILED: judged and any(app is not Running.RUNNING for app in apps),
        }
        return next((code for code in Exit if applies.get(code)), Exit.OK)

    def status_json(self) -> dict[str, Any]:
        """Schema 1 of `gpuhost status`."""
        hosts = [
            {**host.to_json(), "apps": [app.to_json() for app in host.apps]} for host in self.hosts
        ]
        return {"schema": SCHEMA, "hosts": hosts}

    def releases_json(self) -> dict[str, Any]:
        """Schema 1 of `gpuhost releases`."""
        hosts = [
            {
                **host.to_json(),
                "releases": [
                    release_json(release, app.state)
                    for app in host.apps
                    for release in app.state.releases
                ],
            }
            for host in self.hosts
        ]
        return {"schema": SCHEMA, "app": self.name, "hosts": hosts}


def read_apps(
    fleet: Fleet, name: str | None, seconds: float, told: Callable[[str], None]
) -> FleetApps:
    """Ask every host, in parallel, one exec each. Ctrl-C ends it with what is known so far.

    + name: only this app
    + seconds: for one host
    + told: hears of each host as soon as it is done
    """

    def judge(snapshot: Snapshot, settings: Settings) -> tuple[AppReport, ...]:
        return reports(snapshot, name)

    visits = on_each_host(fleet, lambda host: with_host(fleet, host, seconds, judge), told)
    hosts = (
        HostApps(host, trouble=found) if isinstance(found, HostError) else HostApps(host, found)
        for host, found in visits.found.items()
    )
    return FleetApps(tuple(hosts), name, visits.interrupted)


def reports(snapshot: Snapshot, name: str | None = None) -> tuple[AppReport, ...]:
    """The apps of a host, or one of them. Raises NotRead."""
    states = [state for state in snapshot.apps.by_name.values() if name in (None, state.name)]
    complaint = "" if snapshot.docker.engine else snapshot.docker.engine_complaint
    return tuple(
        AppReport(state, _own(state, snapshot.docker.containers), complaint) for state in states
    )


def _own(state: AppState, containers: Sequence[Container]) -> tuple[Container, ...]:
    own = (one for one in containers if one.project == state.project and one.one_off != "True")
    return tuple(sorted(own, key=lambda container: container.name))


def _is_down(container: Container) -> bool:
    if container.state in ("exited", "dead"):
        # What ended well was meant to end: a migration, a set-up.
        return container.exit_status != 0
    return container.state != "running" or container.health == "unhealthy"


def release_json(release: Release, state: AppState) -> dict[str, Any]:
    """A release as schema 1 has it; `result` is null while it is under way, or was cut off."""
    attempt = state.under_way
    return {
        "id": release.id,
        "by": release.by,
        "revision": release.revision,
        "rollback_of": release.rollback_of or None,
        "current": release.id == state.current,
        "under_way": attempt is not None and attempt.id == release.id,
        "result": asdict(release.result) if release.result else None,
    }


def outcome(release: Release, state: AppState) -> str:
    """What became of a release, in one line."""
    ended = release.result
    if ended is None:
        attempt = state.under_way
        return "under way" if attempt and attempt.id == release.id else "cut off"
    if ended.state == VERIFIED:
        return VERIFIED
    words = [f"failed in {ended.stage or 'an unknown stage'}: {ended.said or ended.state}"]
    if ended.restored:
        words.append(f"{ended.restored} is back")
    if ended.state == UNDONE:
        words.append("what it had started is stopped")
    if ended.state == RESTORE_FAILED:
        words.append(f"THE RELEASE BEFORE DID NOT COME BACK: {ended.restore_said}")
    return "; ".join(words)


def _container(container: Container) -> dict[str, str]:
    names = ("name", "service", "state", "health", "status")
    return {name: getattr(container, name) for name in names}


def _attempt(attempt: Attempt | None) -> dict[str, Any] | None:
    return asdict(attempt) if attempt else None
