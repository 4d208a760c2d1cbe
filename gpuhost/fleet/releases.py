"""The apps of a fleet: what is released on each host, by whom, and whether it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.host_pool import HostError, OnDone
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.workers import read_hosts
from gpuhost.runner.contract import RESTORE_FAILED, Operation, Result
from gpuhost.settings import Settings

if TYPE_CHECKING:
    # Imported by the workers, while the hosts log in.
    from gpuhost.snapshot import Snapshot
    from gpuhost.snapshot.app_state import AppState, ReleaseState
    from gpuhost.snapshot.docker import Container

SCHEMA = 1

# The fields of a result in schema 1.
RESULT = (
    *("state", "kind", "stage", "said", "fix", "restored", "restore_said", "backup", "by"),
    *("migrated", "started", "ended", "gap_s"),
)


class RunState(str, Enum):
    """Whether an app runs.

    starting: a health check has not passed yet; broken: a container is down or unhealthy; stopped:
    no container runs; not-released: no release was ever verified; restore-failed: neither the last
    release nor the previous one came up.
    """

    RUNNING = "running"
    STARTING = "starting"
    BROKEN = "broken"
    STOPPED = "stopped"
    NOT_RELEASED = "not-released"
    RESTORE_FAILED = RESTORE_FAILED


@dataclass(frozen=True)
class AppReport:
    """An app on a host. containers: of the app, without those of `compose run`."""

    state: AppState
    containers: tuple[Container, ...]
    engine_complaint: str = ""

    @property
    def run_state(self) -> RunState:
        newest, current = self.state.newest, self.state.current_release
        if newest and newest.result and newest.result.state == RESTORE_FAILED:
            return RunState.RESTORE_FAILED
        if current is None or not current.verified:
            return RunState.NOT_RELEASED
        if not any(container.running for container in self.containers):
            return RunState.STOPPED
        if any(map(_is_down, self.containers)):
            return RunState.BROKEN
        if any(container.health == "starting" for container in self.containers):
            return RunState.STARTING
        return RunState.RUNNING

    @property
    def failed(self) -> ReleaseState | None:
        """The newest release, if it failed."""
        newest = self.state.newest
        return newest if newest and newest.result and not newest.verified else None

    def to_json(self) -> dict[str, Any]:
        current, state = self.state.current_release, self.state
        result = current.result if current else None
        return {
            "app": state.name,
            "state": self.run_state.value,
            "ok": self.run_state is RunState.RUNNING,
            "release": state.current,
            "revision": current.revision if current else None,
            "by": current.by if current else None,
            "since": _seconds(result.ended) if result else None,
            "containers": [_container(container) for container in self.containers],
            "under_way": _operation(state.under_way),
            "cut_off": _operation(state.cut_off),
            "failed": release_json(self.failed, state) if self.failed else None,
        }


@dataclass(frozen=True)
class HostApps:
    """One host: its apps, or why they are unknown."""

    host: str
    apps: tuple[AppReport, ...] = ()
    error: HostError | None = None

    def app(self, name: str) -> AppReport | None:
        return next((app for app in self.apps if app.state.name == name), None)

    def to_json(self) -> dict[str, Any]:
        status = self.error.status if self.error else HostStatus.OK
        reason = {"reason": self.error.message} if self.error else {}
        return {"host": self.host, "status": status.value, **reason}


@dataclass(frozen=True)
class FleetApps:
    """Every host, in the order of the inventory. name: the only app that is shown."""

    hosts: tuple[HostApps, ...]
    name: str | None = None
    interrupted: bool = False

    @property
    def missing(self) -> str:
        """The message that no host has the app; "" if a host has it or could not be read."""
        if self.name is None or any(host.apps or host.error for host in self.hosts):
            return ""
        return f"no host has an app {self.name}"

    def exit(self, *, fail_if_down: bool) -> Exit:
        """+ fail_if_down: an app that does not run is a failure"""
        errors = [host.error for host in self.hosts if host.error]
        apps = [app.run_state for host in self.hosts for app in host.apps]
        applies = {
            Exit.INTERRUPTED: self.interrupted,
            Exit.USAGE: bool(self.missing) or any(one.bad_settings for one in errors),
            Exit.UNKNOWN: bool(errors),
            Exit.FAILED: fail_if_down and any(app is not RunState.RUNNING for app in apps),
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


def read_apps(fleet: Fleet, name: str | None, seconds: float, on_done: OnDone) -> FleetApps:
    """Read every host, in parallel, one exec each. Ctrl-C ends it with the results so far.

    + name: only this app
    + seconds: for one host
    """

    def report(host: str, snapshot: Snapshot, settings: Settings) -> tuple[AppReport, ...]:
        return app_reports(snapshot, name)

    results = read_hosts(fleet, seconds, report, on_done)
    hosts = (
        HostApps(host, error=result) if isinstance(result, HostError) else HostApps(host, result)
        for host, result in results.by_host.items()
    )
    return FleetApps(tuple(hosts), name, results.interrupted)


def app_reports(snapshot: Snapshot, name: str | None = None) -> tuple[AppReport, ...]:
    """The apps of a host, or one of them. Raises NotRead."""
    states = [state for state in snapshot.apps.by_name.values() if name in (None, state.name)]
    complaint = "" if snapshot.docker.engine else snapshot.docker.engine_complaint
    containers = snapshot.docker.containers
    return tuple(AppReport(state, _containers_of(state, containers), complaint) for state in states)


def _containers_of(state: AppState, containers: Sequence[Container]) -> tuple[Container, ...]:
    own = (one for one in containers if one.project == state.project and one.one_off != "True")
    return tuple(sorted(own, key=lambda container: container.name))


def _is_down(container: Container) -> bool:
    if container.state in ("exited", "dead"):
        # With exit status 0, a container has ended as intended: a migration, an initialisation.
        return container.exit_status != 0
    return container.state != "running" or container.health == "unhealthy"


def release_json(release: ReleaseState, state: AppState) -> dict[str, Any]:
    """A release in schema 1; `result` is null while it is in progress, or if it was interrupted."""
    operation = state.under_way
    return {
        "id": release.id,
        "by": release.by,
        "revision": release.revision,
        "rollback_of": release.rollback_of or None,
        "current": release.id == state.current,
        "under_way": operation is not None and operation.id == release.id,
        "result": _result(release.result) if release.result else None,
    }


def _container(container: Container) -> dict[str, str]:
    names = ("name", "service", "state", "health", "status")
    return {name: getattr(container, name) for name in names}


def _operation(operation: Operation | None) -> dict[str, Any] | None:
    if operation is None:
        return None
    return {**asdict(operation), "started": _seconds(operation.started)}


def _result(result: Result) -> dict[str, Any]:
    values = {name: getattr(result, name) for name in RESULT}
    times = {name: _seconds(values[name]) for name in ("started", "ended")}
    return {**values, **times, "restored": result.restored or ""}


def _seconds(time: float) -> int | None:
    """Epoch seconds; None: unknown."""
    return int(time) or None
