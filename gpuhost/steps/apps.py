"""The apps of a host: released, brought back to a release of before, or removed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pyinfra import host, logger, state
from pyinfra.context import ctx_host, ctx_state

from gpuhost.appfile.loading import NAME
from gpuhost.appfile.model import XGpuhost
from gpuhost.operations.app_operation import reasons
from gpuhost.operations.app_removal import removed as remove
from gpuhost.operations.reading import read
from gpuhost.operations.release import released as release
from gpuhost.operations.rollback import rolled_back as roll_back
from gpuhost.release.resolved_app import (
    known_apps,
    resolve_app,
)
from gpuhost.rollout.batch import batch, stop_rollout
from gpuhost.rollout.draft import draft_release
from gpuhost.settings import Settings
from gpuhost.steps import app_tools, nginx
from gpuhost.steps.start import sudo_args

WHICH = "--data app=NAME"


def app_from_data() -> str | None:
    """The app that `--data app=NAME` names; None ends the deploy for this host, and says why."""
    name = host.data.get("app")
    known = f"known here: {', '.join(known_apps()) or 'none'}"
    if name is None:
        _end([f"which app? Give {WHICH}; {known}"])
    elif not (isinstance(name, str) and NAME.fullmatch(name)):
        _end([f"app = {name!r} is no app's name; {known}"])
    else:
        return name
    return None


def released(settings: Settings, name: str) -> None:
    """One app, on a host that is ready. What is in its way is said before anything is changed."""
    try:
        found = resolve_app(ctx_state.get(), name)
        draft_release(found, read(settings), settings)
    except Exception as error:
        # Whatever it is, it is this host's own: an exception would end the run of every host.
        known = [] if name in known_apps() else [f"known here: {', '.join(known_apps())}"]
        _refused(name, [*reasons(error), *known])
    else:
        _ready(settings, [found.app.block])
        _release(settings, name)


def all_released(settings: Settings) -> None:
    """The apps that this host lists. It may still have to be made ready: what only a ready host can
    tell is judged when its turn comes, and what is missing anyway is said now.
    """
    # The same list on every host: an operation is told from others by its place in it.
    _ready(settings, _blocks(settings.apps))
    for name in host.loop(_apps_of_all_hosts()):
        if name in settings.apps:
            _foretold(name)
            _release(settings, name)


def rolled_back(settings: Settings, name: str) -> None:
    """The release before, or the one that `--data release=ID` names."""
    wanted_release = host.data.get("release")
    roll_back(
        name=f"Rollback {name}",
        app=name,
        settings=settings,
        release=None if wanted_release is None else str(wanted_release),
        **_in_batches(settings),
    )


def removed(settings: Settings) -> None:
    """The app that `--data app=NAME` names; what it wrote stays."""
    if name := app_from_data():
        remove(name=f"Remove {name}", app=name, settings=settings, **sudo_args(settings))
        if name in settings.apps:
            logger.warning(
                f"{host.print_prefix}{name} is still in `apps` of this host: the next run of "
                "deploys/gpu_host.py releases it again; take it out of group_data"
            )


def _ready(settings: Settings, apps: list[XGpuhost]) -> None:
    """What their releases need on the host."""
    app_tools.ready(settings, apps)
    nginx.ready(settings, apps)


def _foretold(name: str) -> None:
    """What will keep it from being released is said now; the host itself is made ready all the
    same.
    """
    try:
        wrong = resolve_app(ctx_state.get(), name).errors
    except Exception as error:
        wrong = reasons(error)
    for line in wrong:
        logger.warning(f"{host.print_prefix}{name}: will be refused: {line}")


def _release(settings: Settings, name: str) -> None:
    release(name=f"Release {name}", app=name, settings=settings, **_in_batches(settings))


def _in_batches(settings: Settings) -> dict[str, Any]:
    return {"_parallel": batch(ctx_state.get(), ctx_host.get()), **sudo_args(settings)}


def _apps_of_all_hosts() -> list[str]:
    listed = (one.data.get("apps", ()) for one in host.inventory)
    names = (name for apps in listed if isinstance(apps, (list, tuple)) for name in apps)
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _blocks(names: Iterable[str]) -> list[XGpuhost]:
    """What the apps say of themselves; those with mistakes are refused when their turn comes."""
    blocks = []
    for name in names:
        # Whatever it is, it is that app's own: an exception would end the run of every host.
        with suppress(Exception):
            blocks.append(resolve_app(ctx_state.get(), name).app.block)
    return blocks


def _refused(name: str, lines: Iterable[str]) -> None:
    """Before a run has changed anything: no host begins with this app."""
    stop_rollout(ctx_state.get(), name, ctx_host.get())
    _end([*(f"{name}: {line}" for line in lines), f"{name}: refused, nothing was changed"])


def _end(lines: Iterable[str]) -> None:
    for line in lines:
        logger.error(f"{host.print_prefix}{line}")
    state.fail_hosts({host})
