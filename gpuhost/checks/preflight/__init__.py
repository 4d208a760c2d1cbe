"""What must be true before an app is released on a host: findings, before anything changes."""

from __future__ import annotations

from collections.abc import Sequence

from gpuhost.appfile.app import App
from gpuhost.checks.finding import Finding
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.checks.registry import Registry
from gpuhost.release.variant import ChosenVariant, NoVariant
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

PREFLIGHT: Registry[[Proposal]] = Registry(__name__)
# Register a function of a Proposal: @app_check("app.disk", "There is room for the build.")
app_check, all_app_checks = PREFLIGHT.check, PREFLIGHT.all


def preflight(
    snapshot: Snapshot,
    app: App,
    choice: ChosenVariant | NoVariant,
    settings: Settings,
    *,
    secrets: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Check an app before its release. What fails, or is unknown, refuses the release.

    + choice: the variant for this host, from gpuhost.release.variant
    + secrets: problems with the secrets, a line each: "ADMIN_PASSWORD is not set"; never a
      value
    """
    proposal = Proposal(snapshot, app, choice, settings, tuple(secrets))
    return tuple(check.find(proposal) for check in all_app_checks())
