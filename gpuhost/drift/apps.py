"""Apps of a host: what has become of what was released, and what the repository wants instead."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import find, load
from gpuhost.checks.deployed import deployed_apps, findings, host_checks
from gpuhost.checks.deployed.deployed_app import AppFile, DeployedApp
from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import run_checks
from gpuhost.drift.difference import Cause, Difference, difference, judged
from gpuhost.release.archive import BadDirectory, revision_of
from gpuhost.release.git import COMMIT
from gpuhost.release.resolved_app import build_contexts
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


class AppFiles:
    """The apps of the repository, each read once a run, whatever number of hosts has it."""

    def __init__(self) -> None:
        self._known: dict[str, AppFile] = {}

    def __call__(self, name: str) -> AppFile:
        if name not in self._known:
            self._known[name] = _read(name)
        return self._known[name]


def all_differences(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile], *, at: int
) -> list[Difference]:
    """Everything about one host and its apps. Raises NotRead.

    + at: when the run began, epoch seconds
    """
    found = run_checks(snapshot, settings)
    of_host = [difference(finding, snapshot, settings, at=at) for finding in found]
    return [*of_host, *app_differences(snapshot, settings, file_of, at=at)]


def app_differences(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile], *, at: int
) -> list[Difference]:
    """Everything about the apps of one host, each with its cause.

    + file_of: the app of a name as the repository has it
    + at: when the run began, epoch seconds
    """
    of_host = [check.find(snapshot, settings) for check in host_checks()]
    cause = Cause.DRIFT if snapshot.applied else Cause.NEW
    found = [judged(finding, cause, settings, at=at) for finding in of_host]
    for app in deployed_apps(snapshot, settings, file_of):
        found += [
            judged(finding, _cause(finding, app), settings, at=at) for finding in findings(app)
        ]
    return found


def _cause(finding: Finding, app: DeployedApp) -> Cause:
    """What is not as it was verified is the host's doing; `release` speaks of the repository."""
    if not finding.id.endswith(".release"):
        return Cause.DRIFT
    return Cause.NEW if app.is_new else Cause.PENDING


def _read(name: str) -> AppFile:
    try:
        app = load(find(name))
        return AppFile(app, _revision(app))
    except BadApp as error:
        return AppFile(wrong=tuple(error.lines))
    except BadDirectory as error:
        return AppFile(wrong=(str(error),))


def _revision(app: App) -> str | None:
    """What can be told of its source without asking a server; None: only that could tell."""
    source = app.block.source
    if source is None:
        return hashlib.sha256(app.text).hexdigest()
    if source.git is not None:
        return source.ref if COMMIT.fullmatch(source.ref) else None
    directory = app.path.parent / Path(source.directory or ".").expanduser()
    return revision_of(directory, tuple(build_contexts(app)))
