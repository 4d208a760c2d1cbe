"""The apps of a host: deploy, roll back, abort, remove."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pyinfra import host, logger, state
from pyinfra.context import ctx_host, ctx_state

from gpuhost.appfile.model import XGpuhost
from gpuhost.domain.app_name import NAME
from gpuhost.operations import app
from gpuhost.operations.app_operation import explain
from gpuhost.operations.reading import read
from gpuhost.release.resolved_app import known_apps, resolve_app
from gpuhost.rollout.batch import batch, stop_rollout
from gpuhost.rollout.draft import draft_release
from gpuhost.settings import Settings
from gpuhost.steps import app_tools, nginx
from gpuhost.steps.start import sudo_args

OPTION = "--data app=NAME"


def app_from_data() -> str | None:
    """The app that `--data app=NAME` names. If it names none, print why and end the deploy for this
    host: None.
    """
    name = host.data.get("app")
    known = f"known here: {', '.join(known_apps()) or 'none'}"
    if name is None:
        _end([f"no app is named: give {OPTION}; {known}"])
    elif not (isinstance(name, str) and NAME.fullmatch(name)):
        _end([f"app = {name!r} is not a valid app name; {known}"])
    else:
        return name
    return None


def deploy(settings: Settings, name: str) -> None:
    """Release one app on a prepared host. Every reason against it is printed first, before any
    change.
    """
    try:
        resolved = resolve_app(ctx_state.get(), name)
        draft_release(resolved, read(settings), settings)
    except Exception as error:
        # An exception would end the run on every host.
        known = [] if name in known_apps() else [f"known here: {', '.join(known_apps())}"]
        _refuse(name, [*explain(error), *known])
    else:
        _install_tools(settings, [resolved.app.block])
        _release(settings, name)


def prepare(settings: Settings) -> None:
    """Install and start what the apps of this host's `apps` need beside the engine."""
    _install_tools(settings, _blocks(settings.apps))


def deploy_all(settings: Settings) -> None:
    """Release the apps of this host's `apps`. The host may not be prepared yet: the release itself
    checks what needs a prepared host; other reasons are printed now.
    """
    # The same list on every host: pyinfra identifies an operation by its position in it.
    for name in host.loop(_apps_of_all_hosts()):
        if name in settings.apps:
            _warn(name)
            _release(settings, name)


def roll_back(settings: Settings, name: str) -> None:
    """Roll back to the previous release, or to the one that `--data release=ID` names."""
    release = host.data.get("release")
    app.roll_back(
        name=f"Rollback {name}",
        app=name,
        settings=settings,
        release=None if release is None else str(release),
        **_in_batches(settings),
    )


def abort(settings: Settings, name: str) -> None:
    """End the operation in progress on an app, and undo it. On all hosts at once."""
    app.abort(name=f"Abort {name}", app=name, settings=settings, **sudo_args(settings))


def remove(settings: Settings) -> None:
    """Remove the app that `--data app=NAME` names; its data stays."""
    if name := app_from_data():
        app.remove(name=f"Remove {name}", app=name, settings=settings, **sudo_args(settings))
        if name in settings.apps:
            logger.warning(
                f"{host.print_prefix}{name} is still in `apps` of this host: the next run of "
                "deploys/gpu_host.py releases it again; delete it from the settings"
            )


def _install_tools(settings: Settings, blocks: list[XGpuhost]) -> None:
    """Install what these apps need on the host."""
    app_tools.apply(settings, blocks)
    nginx.apply(settings, blocks)


def _warn(name: str) -> None:
    """Print now why the release will be refused; the host is prepared anyway."""
    try:
        wrong = resolve_app(ctx_state.get(), name).errors
    except Exception as error:
        wrong = explain(error)
    for line in wrong:
        logger.warning(f"{host.print_prefix}{name}: will be refused: {line}")


def _release(settings: Settings, name: str) -> None:
    app.release(name=f"Release {name}", app=name, settings=settings, **_in_batches(settings))


def _in_batches(settings: Settings) -> dict[str, Any]:
    return {"_parallel": batch(ctx_state.get(), ctx_host.get()), **sudo_args(settings)}


def _apps_of_all_hosts() -> list[str]:
    settings = (each.data.get("apps", ()) for each in host.inventory)
    names = (name for apps in settings if isinstance(apps, (list, tuple)) for name in apps)
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _blocks(names: Iterable[str]) -> list[XGpuhost]:
    """The blocks of the apps; an app with mistakes has none, and its release is refused."""
    blocks = []
    for name in names:
        # An exception would end the run on every host.
        with suppress(Exception):
            blocks.append(resolve_app(ctx_state.get(), name).app.block)
    return blocks


def _refuse(name: str, lines: Iterable[str]) -> None:
    """Refuse the app before any change: no host starts it."""
    stop_rollout(ctx_state.get(), name, ctx_host.get())
    _end([*(f"{name}: {line}" for line in lines), f"{name}: refused, nothing was changed"])


def _end(lines: Iterable[str]) -> None:
    for line in lines:
        logger.error(f"{host.print_prefix}{line}")
    state.fail_hosts({host})
