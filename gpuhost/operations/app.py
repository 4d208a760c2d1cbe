"""Operations on apps: release, roll back, restore, abort, remove."""

from __future__ import annotations

from functools import partial

from pyinfra.api import operation
from pyinfra.context import ctx_host, ctx_state

from gpuhost.operations import app_abort, app_release, app_removal, app_restore, app_rollback
from gpuhost.operations.app_operation import run_action
from gpuhost.operations.failures import skip_reason
from gpuhost.operations.reading import Commands, executing
from gpuhost.settings import Settings


@operation()
def release(app: str, settings: Settings) -> Commands:
    """
    Release an app at the current revision of its source: build, migrate, start and verify it. If
    that fails, the previous release is restored and verified. If the same inputs and secrets are
    already released and verified, nothing is changed. If the release is refused, every reason is
    printed, nothing is changed, and the host fails.

    + app: the name of the app: apps/NAME.yaml
    + settings: the settings of this host

    **Example:**

    .. code:: python

        app.release(name="Release tts", app="tts", settings=settings)
    """
    if executing() and skip_reason(ctx_state.get(), ctx_host.get(), "app.release"):
        return
    yield from run_action(app, partial(app_release.decide, app, settings))


@operation()
def roll_back(app: str, settings: Settings, release: str | None = None) -> Commands:
    """
    Roll an app back to an earlier verified release, and verify it. If that fails, the current
    release is restored. Data is not changed: the effects of migrations stay.

    + app: the name of the app
    + settings: the settings of this host
    + release: an id that `gpuhost releases` lists, or a revision, which is the same on every host;
      None: the last verified release before the current one, or the current one if nothing runs
      since the last release failed

    **Example:**

    .. code:: python

        app.roll_back(name="Rollback tts", app="tts", settings=settings)
    """
    yield from run_action(app, partial(app_rollback.decide, app, settings, release))


@operation()
def restore(app: str, settings: Settings, backup: str | None = None) -> Commands:
    """
    Restore an app's data from a backup: unpack it, stop the app, exchange the data, start the app
    and verify it. If that fails, the previous data is restored. The previous data is kept on the
    host, in backups/before-restore-TIME.

    + app: the name of the app
    + settings: the settings of this host
    + backup: the name of the backup; None: list the backups and change nothing

    **Example:**

    .. code:: python

        app.restore(
            name="Restore tts",
            app="tts",
            settings=settings,
            backup="20261120-033012-schedule",
        )
    """
    yield from run_action(app, partial(app_restore.decide, app, settings, backup))


@operation()
def abort(app: str, settings: Settings) -> Commands:
    """
    End the release, rollback or restore in progress on an app at the next safe point, and undo what
    it has changed: the previous release, or the previous data, is restored and verified. One that
    was interrupted is undone now. If none is in progress, nothing is changed.

    + app: the name of the app
    + settings: the settings of this host

    **Example:**

    .. code:: python

        app.abort(name="Abort tts", app="tts", settings=settings)
    """
    yield from app_abort.commands(app, settings)


@operation()
def remove(app: str, settings: Settings) -> Commands:
    """
    Remove an app from the host: its containers, networks, site and timers, its releases and their
    images. Its directory, volumes, backups and generated secrets stay, and the commands that delete
    them are printed. If the host does not have the app, nothing is changed.

    + app: the name of the app
    + settings: the settings of this host

    **Example:**

    .. code:: python

        app.remove(name="Remove tts", app="tts", settings=settings)
    """
    yield from app_removal.commands(app, settings)
