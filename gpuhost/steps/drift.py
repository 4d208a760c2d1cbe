"""Drift: the verdict on a host, and the nightly check on the host that runs it for the others."""

from __future__ import annotations

from pyinfra import host, logger

from gpuhost.operations import drift
from gpuhost.operations.drift_installed import recorded, verified
from gpuhost.operations.drift_verdict import judged as judge
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def judged(declared: Settings) -> None:
    """What is no longer as it was applied: a host that has drifted fails."""
    judge(name="Drift", declared=declared, **elevated(declared))


def ready(declared: Settings) -> None:
    """The nightly check, where `drift_directory` says that it runs here."""
    if declared.drift_directory is None:
        return
    drift.timer(
        name="Nightly drift check",
        directory=declared.drift_directory,
        inventory=declared.drift_inventory,
        at=declared.drift_at,
        html=declared.drift_html,
        metrics=declared.drift_metrics,
        **elevated(declared),
    )


def installed(declared: Settings) -> None:
    """The nightly check, on record and judged; of the rest of the host nothing is asked."""
    if declared.drift_directory is None:
        logger.info(f"{host.print_prefix}drift_directory is not set: no nightly check runs here")
        return
    ready(declared)
    recorded(name="Record", declared=declared, **elevated(declared))
    verified(name="Nightly drift check, verified", declared=declared, **elevated(declared))


def removed(declared: Settings) -> None:
    """No nightly check; its account, with its key and its history, stays."""
    drift.removed(name="Nightly drift check removed", **elevated(declared))
