"""The decision of a restore: which backup."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pyinfra.api.host import Host

from gpuhost.operations.app_operation import (
    Action,
    NoChange,
    known_app,
    require_idle,
    verified_release,
)
from gpuhost.operations.reading import read
from gpuhost.remote.commands import connector_arguments, remove
from gpuhost.rollout.deliver import StartRequest
from gpuhost.rollout.draft import StartRefused, current_user
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot.app_state import AppState

# The host unpacks gigabytes, and the app loads its models, twice if the restore fails.
LIMIT_SECONDS = 6 * 3600


def decide(app: str, settings: Settings, backup: str | None) -> Action | NoChange:
    """Raises StartRefused."""
    state = known_app(read(settings).apps, app)
    if backup is None:
        listed = tuple(list_backups(state))
        return NoChange(f"{app}: nothing is restored, because no backup was named", listed)
    require_restorable(state, backup)
    return Action(
        f"{app}: restores {backup}",
        f"{app}: would restore {backup}",
        partial(_start, app, backup),
        # Of this backup itself: the same restore continues.
        first=state.cut_off if state.cut_off and state.cut_off.id != backup else None,
    )


def list_backups(state: AppState) -> Iterable[str]:
    """The app's complete backups, newest first, a line each."""
    names = _names(state)
    if not names:
        return (f"{state.name} has no backup on this host",)
    return (f"{state.name} has {len(names)} backups on this host, newest first:", *names)


def _names(state: AppState) -> list[str]:
    return [backup.name for backup in state.backups if backup.complete]


def require_restorable(state: AppState, backup: str) -> None:
    """Raises StartRefused with the reason why this backup cannot be restored now."""
    verified_release(state)
    require_idle(state)
    if backup not in _names(state):
        raise StartRefused([f"{backup} is not a backup of this app", *list_backups(state)])


def _start(app: str, backup: str, host: Host) -> StartRequest:
    """Raises StartRefused."""
    # The result of an earlier restore of this backup must not be mistaken for the new one.
    directory = f"{APPS}/{app}/backups/{backup}"
    arguments = connector_arguments(host)
    command = remove(f"{directory}/result.json", f"{directory}/log")
    done, _ = host.run_shell_command(command, **arguments)
    if not done:
        raise StartRefused([f"the result of an earlier restore of {backup} could not be deleted"])
    by = current_user()
    return StartRequest(
        app=app,
        id=backup,
        by=by,
        verb=("restore", "--by", by),
        limit_s=LIMIT_SECONDS,
    )
