"""The last steps."""

from __future__ import annotations

from gpuhost.operations.applied import recorded
from gpuhost.operations.on_failure import VERIFICATION
from gpuhost.operations.verification import verify
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def verified(settings: Settings) -> None:
    """What is applied is put on record; the findings as a table: if one fails, so does the host."""
    recorded(name="Record", settings=settings, **sudo_args(settings))
    verify(name=VERIFICATION, settings=settings, **sudo_args(settings))
