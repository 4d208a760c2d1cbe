"""Restore an app's data from a backup."""

from __future__ import annotations

from pyinfra import host
from pyinfra.context import ctx_state

from gpuhost.operations import app
from gpuhost.rollout.batch import batch
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def restore(settings: Settings, name: str) -> None:
    """Restore the backup that `--data backup=NAME` names; without it, list the backups."""
    backup = host.data.get("backup")
    app.restore(
        name=f"Restore {name}" if backup else f"Backups of {name}",
        app=name,
        settings=settings,
        backup=None if backup is None else str(backup),
        _parallel=batch(ctx_state.get(), host),
        **sudo_args(settings),
    )
