"""What has to be so before an app is released on a host: findings, before anything changes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from gpuhost.appfile.app import App
from gpuhost.checks.finding import Finding
from gpuhost.checks.preflight.registry import AppCheck, Proposal, registered
from gpuhost.release.variant import ChosenVariant, NoVariant
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def preflight(
    snapshot: Snapshot,
    app: App,
    choice: ChosenVariant | NoVariant,
    settings: Settings,
    *,
    secrets: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Judge an app that is to be released. What fails, or is unknown, is a reason not to begin.

    + choice: what gpuhost.release.variant.choose says of this host
    + secrets: what is wrong with the secrets, a line each: "ADMIN_PASSWORD is not set"; never a
      value
    """
    proposal = Proposal(snapshot, app, choice, settings, tuple(secrets))
    return tuple(check.find(proposal) for check in all_app_checks())


def all_app_checks() -> list[AppCheck]:
    """Every check of an app, by id."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return registered()
