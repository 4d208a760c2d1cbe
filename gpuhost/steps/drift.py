"""Drift: the verdict on a host, and the nightly check on the host that runs it for the others."""

from __future__ import annotations

from pyinfra import host, logger

from gpuhost.operations import drift
from gpuhost.operations.drift_installed import record, verify
from gpuhost.operations.drift_verdict import report_drift
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def judged(settings: Settings) -> None:
    """What is no longer as it was applied: a host that has drifted fails."""
    report_drift(name="Drift", settings=settings, **sudo_args(settings))


def ready(settings: Settings) -> None:
    """The nightly check, where `drift_directory` says that it runs here."""
    if settings.drift_directory is None:
        return
    drift.timer(
        name="Nightly drift check",
        directory=settings.drift_directory,
        inventory=settings.drift_inventory,
        at=settings.drift_at,
        html=settings.drift_html,
        metrics=settings.drift_metrics,
        **sudo_args(settings),
    )


def installed(settings: Settings) -> None:
    """The nightly check, on record and judged; of the rest of the host nothing is asked."""
    if settings.drift_directory is None:
        logger.info(f"{host.print_prefix}drift_directory is not set: no nightly check runs here")
        return
    ready(settings)
    record(name="Record", settings=settings, **sudo_args(settings))
    verify(name="Nightly drift check, verified", settings=settings, **sudo_args(settings))


def removed(settings: Settings) -> None:
    """No nightly check; its account, with its key and its history, stays."""
    drift.removed(name="Nightly drift check removed", **sudo_args(settings))
