"""Drift: the report on a host, and the nightly check on the control host."""

from __future__ import annotations

from pyinfra import host, logger

from gpuhost.operations import drift, drift_installed, drift_verdict
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def report_drift(settings: Settings) -> None:
    """Report what is no longer as it was applied. A host that has drifted fails."""
    drift_verdict.report_drift(name="Drift", settings=settings, **sudo_args(settings))


def apply(settings: Settings) -> None:
    """Let the nightly check read this host; install the check, if `drift_directory` is set."""
    drift.reading(name="Reading of the nightly check", settings=settings, **sudo_args(settings))
    _install(settings)


def _install(settings: Settings) -> None:
    if settings.drift_directory is None:
        return
    drift.timer(
        name="Nightly drift check",
        directory=settings.drift_directory,
        inventory=settings.drift_inventory,
        at=settings.drift_at,
        html=settings.drift_html,
        metrics=settings.drift_metrics,
        adopt=settings.adopt,
        **sudo_args(settings),
    )


def install(settings: Settings) -> None:
    """Install, record and verify the nightly check alone; the host needs nothing else."""
    if settings.drift_directory is None:
        logger.info(f"{host.print_prefix}drift_directory is not set: no nightly check is installed")
        return
    _install(settings)
    drift_installed.record(name="Record", settings=settings, **sudo_args(settings))
    drift_installed.verify(
        name="Verification of the nightly drift check", settings=settings, **sudo_args(settings)
    )


def remove(settings: Settings) -> None:
    """Remove the nightly check; its account, with key and history, stays."""
    drift.timer(name="Nightly drift check removed", present=False, **sudo_args(settings))
