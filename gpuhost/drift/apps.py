"""Apps of a host: what has changed since their release, on the host or in the repository."""

from __future__ import annotations

from collections.abc import Callable

from gpuhost.appfile.errors import BadApp
from gpuhost.checks.deployed import deployed_apps, findings, host_checks
from gpuhost.checks.deployed.deployed_app import AppFile, DeployedApp
from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import run_checks
from gpuhost.drift.causes import explain, with_acceptance
from gpuhost.drift.difference import Cause, Difference
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


class AppFiles:
    """The app files of the repository, each read once per run, however many hosts have the app."""

    def __init__(self) -> None:
        self._known: dict[str, AppFile] = {}

    def __call__(self, name: str) -> AppFile:
        if name not in self._known:
            self._known[name] = _read(name)
        return self._known[name]


def all_differences(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile], *, at: int
) -> list[Difference]:
    """All findings of one host and its apps, with their causes. Raises NotRead.

    + at: when the run started, epoch seconds
    """
    host_findings = run_checks(snapshot, settings)
    of_host = [explain(finding, snapshot, settings, at=at) for finding in host_findings]
    return [*of_host, *app_differences(snapshot, settings, file_of, at=at)]


def app_differences(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile], *, at: int
) -> list[Difference]:
    """All findings of the apps of one host, with their causes.

    + file_of: the app file of a name, from the repository
    + at: when the run started, epoch seconds
    """
    host_findings = [check.find(snapshot, settings) for check in host_checks()]
    cause = Cause.DRIFT if snapshot.applied else Cause.NEVER_APPLIED
    differences = [with_acceptance(one, cause, settings, at=at) for one in host_findings]
    for app in deployed_apps(snapshot, settings, file_of):
        differences += [
            with_acceptance(finding, _cause(finding, app), settings, at=at)
            for finding in findings(app)
        ]
    return differences


def _cause(finding: Finding, app: DeployedApp) -> Cause:
    """Only the check `release` compares with the repository; all others with the release."""
    if not finding.id.endswith(".release"):
        return Cause.DRIFT
    return Cause.NEVER_APPLIED if app.is_new else Cause.PENDING


def _read(name: str) -> AppFile:
    # These take long to import: a fleet without apps does not need them.
    from gpuhost.appfile.loading import find, load
    from gpuhost.release.archive import BadDirectory
    from gpuhost.release.overlay import read_overlay
    from gpuhost.release.source import local_revision

    try:
        app = load(find(name))
        overlay = read_overlay(app)
        return AppFile(app, local_revision(app), overlay.revision if overlay else "")
    except BadApp as error:
        return AppFile(errors=tuple(error.lines))
    except BadDirectory as error:
        return AppFile(errors=(str(error),))
