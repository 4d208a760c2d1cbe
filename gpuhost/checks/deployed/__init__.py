"""Checks of the apps on a host: they still are as they were released. `gpuhost drift` runs them.

The checks in gpuhost/checks/preflight are for an app before its release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gpuhost.checks.deployed.deployed_app import AppFile, DeployedApp
from gpuhost.checks.deployed.host import HOST_CHECKS
from gpuhost.checks.finding import Finding, Status, Verdict, later, skip
from gpuhost.checks.registry import Check, Registry
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# In the ids of the checks, in place of an app's name.
NAME = "NAME"
NEVER = "never released on this host: see app.{}.release"
OLDER = "released by an older gpuhost, which did not record its state; the next release records it"
# For this long after its start the engine may still be starting containers.
SETTLING_S = 120
# Aspects that another release of the same app repairs.
REPAIRED = (
    *("backups", "cards", "containers", "directories", "files", "images", "live", "ports"),
    "site",
)

Judge = Callable[[DeployedApp], Verdict]
DEPLOYED: Registry[[DeployedApp]] = Registry(__name__)


def deployed_check(
    aspect: str, meaning: str, *, of_release: bool = True, settles: bool = False
) -> Callable[[Judge], Check[[DeployedApp]]]:
    """Register a function of a DeployedApp under an aspect; it may raise NotRead.

    + of_release: it is about a verified release, and is skipped while another one is under way
    + settles: a bad result right after the engine's start is skipped
    """

    def register(judge: Judge) -> Check[[DeployedApp]]:
        def guarded(app: DeployedApp) -> Verdict:
            state = app.state
            if state and state.under_way and of_release:
                parts = (state.under_way.kind, state.under_way.id, "is under way")
                return later(" ".join(filter(None, parts)))
            if aspect != "release" and app.is_new:
                return skip(NEVER.format(app.name))
            verdict = judge(app)
            started = app.snapshot.docker.service.started if settles else None
            if verdict.status in (Status.FAIL, Status.WARN) and app.since(started) < SETTLING_S:
                return later(f"the engine started {app.since(started):.0f} s ago")
            return verdict

        return DEPLOYED.check(f"app.{NAME}.{aspect}", meaning)(guarded)

    return register


def all_deployed_checks() -> list[Check[[DeployedApp]]]:
    """Every check of an app that is released, by aspect."""
    return DEPLOYED.all()


def host_checks() -> list[Check[[Snapshot, Settings]]]:
    """Checks of the whole host that are only run together with the apps'."""
    return list(HOST_CHECKS)


def deployed_apps(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile]
) -> tuple[DeployedApp, ...]:
    """The apps that the host has or `apps` lists; none if the host's apps could not be read.

    + file_of: returns the app file of a name; called only for apps that `apps` lists
    """
    try:
        states = snapshot.apps.by_name
    except NotRead:
        return ()
    files = {name: file_of(name) for name in settings.apps}
    return tuple(
        DeployedApp(snapshot, settings, name, states.get(name), files.get(name, AppFile()))
        for name in sorted({*states, *files})
    )


def findings(app: DeployedApp) -> tuple[Finding, ...]:
    """The findings of every check of an app, on one host."""
    return tuple(_find(check, app) for check in DEPLOYED.all())


def _find(check: Check[[DeployedApp]], app: DeployedApp) -> Finding:
    return replace(check.find(app), id=f"app.{app.name}.{aspect_of(check)}")


def aspect_of(check: Check[[DeployedApp]]) -> str:
    return check.id.rpartition(".")[2]


def repaired_by_a_release(snapshot: Snapshot, settings: Settings, name: str) -> tuple[Finding, ...]:
    """Failures that another release of the same app repairs."""
    app = DeployedApp(snapshot, settings, name, snapshot.apps.get(name), AppFile())
    aspects = (*REPAIRED, "certificate") if app.site_is_self_signed else REPAIRED
    return tuple(
        finding
        for check in DEPLOYED.all()
        if aspect_of(check) in aspects
        for finding in (_find(check, app),)
        if finding.status is Status.FAIL and finding.fix.endswith(app.release_command)
    )
