"""Putting an app's data back as a backup has it. The host carries it out by itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pyinfra.api import operation
from pyinfra.api.host import Host

from gpuhost.operations.app_turn import Nothing, Turn, in_turn
from gpuhost.operations.commands import connector_arguments, remove
from gpuhost.operations.reading import Commands, read
from gpuhost.release.deliver import Start
from gpuhost.release.draft import Refused, who
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot.apps import Apps, AppState

# Gigabytes are laid out, the app loads, and perhaps twice.
LIMIT_SECONDS = 6 * 3600


@operation()
def restored(app: str, declared: Settings, backup: str | None = None) -> Commands:
    """
    Put an app's data back as a backup has it: laid out beside, exchanged while the app is stopped,
    verified. If the app is not good with it, the data of before comes back. What was there is kept
    on the host, in backups/before-restore-TIME.

    + app: its name
    + declared: the settings of this host
    + backup: which; None: they are listed, and nothing is changed

    **Example:**

    .. code:: python

        restored(
            name="Restore tts",
            app="tts",
            declared=settings,
            backup="20261120-033012-schedule",
        )
    """
    yield from in_turn(app, partial(_decide, app, declared, backup))


def _decide(app: str, declared: Settings, backup: str | None) -> Turn | Nothing:
    known = released(read(declared).apps, app)
    if backup is None:
        return Nothing(f"{app}: no backup was named, so nothing is restored", tuple(listed(known)))
    require(known, backup)
    return Turn(
        f"{app}: restores {backup}",
        f"{app}: would restore {backup}",
        partial(_start, app, backup),
    )


def listed(known: AppState) -> Iterable[str]:
    """Its backups in words, newest first."""
    names = _names(known)
    if not names:
        return (f"{known.name} has no backup on this host",)
    return (f"{known.name} has {len(names)} backups on this host, newest first:", *names)


def _names(known: AppState) -> list[str]:
    return sorted((one.name for one in known.backups if one.whole), reverse=True)


def released(apps: Apps, app: str) -> AppState:
    """Raises Refused if the host does not know the app."""
    known = apps.get(app)
    if known is None:
        there = ", ".join(sorted(apps.by_name)) or "none"
        raise Refused([f"it was never released on this host; released were: {there}"])
    return known


def require(known: AppState, backup: str) -> None:
    """Raises Refused with the reason why this backup cannot be restored now."""
    if known.current_release is None:
        raise Refused(["no release of it was ever verified on this host; release it first"])
    if known.under_way:
        raise Refused([f"{known.under_way.kind} {known.under_way.id} is under way; wait for it"])
    if backup not in _names(known):
        raise Refused([f"{backup} is no backup of it", *listed(known)])


def _start(app: str, backup: str, host: Host) -> Start:
    """Raises Refused."""
    # An earlier restore of the same backup: its result would be taken for this one's.
    home = f"{APPS}/{app}/backups/{backup}"
    arguments = connector_arguments(host)
    done, _ = host.run_shell_command(remove(f"{home}/result.json", f"{home}/log"), **arguments)
    if not done:
        raise Refused([f"the result of an earlier restore of {backup} could not be removed"])
    by = who()
    return Start(
        app=app,
        id=backup,
        by=by,
        verb=("restore", "--by", by),
        limit_s=LIMIT_SECONDS,
    )
