"""The last step."""

from __future__ import annotations

from gpuhost.host.start import elevated
from gpuhost.operations.verification import verify
from gpuhost.outputs.on_failure import VERIFICATION
from gpuhost.settings import Settings


def verified(declared: Settings) -> None:
    """The findings as a table; the host fails if one of them does."""
    verify(name=VERIFICATION, declared=declared, **elevated(declared))
