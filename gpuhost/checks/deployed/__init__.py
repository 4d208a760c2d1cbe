"""Apps as they stand on a host: what has become of what was released. `gpuhost drift` asks these.

Their sisters in gpuhost/checks/preflight judge what is to be released.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from gpuhost.checks.deployed.host import HOST_CHECKS
from gpuhost.checks.deployed.registry import AppFile, ReleasedCheck, Subject, registered
from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import Check
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# What releasing the same once more puts right.
MENDED = ("backups", "containers", "files", "images", "ports", "site")


def all_released_checks() -> list[ReleasedCheck]:
    """Every check of an app that is released, by aspect."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return registered()


def host_checks() -> list[Check]:
    """Those of the host as a whole that are only asked beside the apps'."""
    return list(HOST_CHECKS)


def subjects(
    snapshot: Snapshot, settings: Settings, file_of: Callable[[str], AppFile]
) -> tuple[Subject, ...]:
    """The apps that the host has or lists; none where what it has could not be read.

    + file_of: the app of a name as the repository has it; asked only for those that are listed
    """
    try:
        there = snapshot.apps.by_name
    except NotRead:
        return ()
    names = sorted({*there, *settings.apps})
    return tuple(
        Subject(snapshot, settings, name, there.get(name), file_of(name) if listed else AppFile())
        for name in names
        for listed in (name in settings.apps,)
    )


def findings(subject: Subject) -> tuple[Finding, ...]:
    """Everything about one app on one host."""
    return tuple(check.find(subject) for check in all_released_checks())


def mended_by_a_release(snapshot: Snapshot, settings: Settings, name: str) -> tuple[Finding, ...]:
    """What is not as it was verified, where a release of the very same puts it right."""
    subject = Subject(snapshot, settings, name, snapshot.apps.get(name), AppFile())
    renewed = subject.site_is_self_signed
    return tuple(
        finding
        for check in all_released_checks()
        if check.aspect in MENDED or (renewed and check.aspect == "certificate")
        for finding in (check.find(subject),)
        if finding.status is Status.FAIL and finding.fix.endswith(subject.again)
    )
