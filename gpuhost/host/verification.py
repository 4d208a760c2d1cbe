"""The last steps."""

from __future__ import annotations

from gpuhost.host.start import elevated
from gpuhost.operations.applied import recorded
from gpuhost.operations.verification import verify
from gpuhost.outputs.on_failure import VERIFICATION
from gpuhost.settings import Settings


def verified(declared: Settings) -> None:
    """What is applied is put on record; the findings as a table: if one fails, so does the host."""
    recorded(name="Record", declared=declared, **elevated(declared))
    verify(name=VERIFICATION, declared=declared, **elevated(declared))
