"""What an operation has to repair."""

from __future__ import annotations

from gpuhost.checks.registry import failing
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def failing_ids(snapshot: Snapshot, settings: Settings, noun: str) -> set[str]:
    """The ids of this noun's checks that fail."""
    return {finding.id for finding in failing(snapshot, settings, noun)}
