"""The end of the deploy: the record, the verification and the result."""

from __future__ import annotations

from gpuhost.operations import applied, verification
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def verify(settings: Settings) -> None:
    """Record what is applied and print the findings."""
    applied.record(name="Record", settings=settings, **sudo_args(settings))
    verification.verify(name="Verification", settings=settings, **sudo_args(settings))


def conclude() -> None:
    """The host fails if anything has failed; what was skipped because of it is named."""
    verification.conclude(name="Result")
