"""Releasing an app. The host carries it out by itself; the operation begins and watches it."""

from __future__ import annotations

from functools import partial

from pyinfra.api import operation
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.operations.app_operation import Action, NoChange, run_action
from gpuhost.operations.reading import Commands, read
from gpuhost.release.resolved_app import (
    resolve_app,
)
from gpuhost.rollout.deliver import StartRequest
from gpuhost.rollout.draft import Draft, draft_release
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@operation()
def released(app: str, settings: Settings) -> Commands:
    """
    Have an app released on the host, at the revision that its source has now: built, migrated, up,
    verified, or the release before is back and verified again. Released already, with the same
    inputs and secrets: no change. Refused, with every reason: the host fails, nothing is changed.

    + app: its name: apps/NAME.yaml
    + settings: the settings of this host

    **Example:**

    .. code:: python

        released(name="Release tts", app="tts", declared=settings)
    """
    yield from run_action(app, partial(_decide, app, settings))


def _decide(app: str, settings: Settings) -> Action | NoChange:
    snapshot = read(settings)
    draft = draft_release(resolve_app(ctx_state.get(), app), snapshot, settings)
    if draft.is_unchanged:
        return NoChange(f"{draft.sentence}: released and verified")
    return Action(
        draft.sentence, f"would release {draft.sentence}", partial(_start, draft, snapshot)
    )


def _start(draft: Draft, snapshot: Snapshot, host: Host) -> StartRequest:
    return draft.start_request(snapshot)
