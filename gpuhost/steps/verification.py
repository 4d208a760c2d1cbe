"""The end of the deploy: the record and the verification."""

from __future__ import annotations

from gpuhost.operations import applied, verification
from gpuhost.operations.on_failure import VERIFICATION
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def verify(settings: Settings) -> None:
    """Record what is applied and print the findings. The host fails if a check fails."""
    applied.record(name="Record", settings=settings, **sudo_args(settings))
    verification.verify(name=VERIFICATION, settings=settings, **sudo_args(settings))
