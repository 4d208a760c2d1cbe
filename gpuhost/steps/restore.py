"""An app's data, put back as a backup has it."""

from __future__ import annotations

from pyinfra import host
from pyinfra.context import ctx_state

from gpuhost.operations.app_restore import restored
from gpuhost.rollout.batch import batch
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def data_restored(settings: Settings, name: str) -> None:
    """From the backup that `--data backup=NAME` names; without it they are listed."""
    backup = host.data.get("backup")
    restored(
        name=f"Restore {name}" if backup else f"Backups of {name}",
        app=name,
        settings=settings,
        backup=None if backup is None else str(backup),
        _parallel=batch(ctx_state.get(), host),
        **sudo_args(settings),
    )
