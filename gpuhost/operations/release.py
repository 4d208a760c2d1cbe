"""Releasing an app. The host carries it out by itself; the operation begins and watches it."""

from __future__ import annotations

from functools import partial

from pyinfra.api import operation
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.operations.app_operation import Nothing, Turn, in_turn
from gpuhost.operations.reading import Commands, read
from gpuhost.release.resolved_app import wanted
from gpuhost.rollout.deliver import Start
from gpuhost.rollout.draft import Draft, draft
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@operation()
def released(app: str, declared: Settings) -> Commands:
    """
    Have an app released on the host, at the revision that its source has now: built, migrated, up,
    verified, or the release before is back and verified again. Released already, with the same
    inputs and secrets: no change. Refused, with every reason: the host fails, nothing is changed.

    + app: its name: apps/NAME.yaml
    + declared: the settings of this host

    **Example:**

    .. code:: python

        released(name="Release tts", app="tts", declared=settings)
    """
    yield from in_turn(app, partial(_decide, app, declared))


def _decide(app: str, declared: Settings) -> Turn | Nothing:
    now = read(declared)
    drawn = draft(wanted(ctx_state.get(), app), now, declared)
    if drawn.is_unchanged:
        return Nothing(f"{drawn.sentence}: released and verified")
    return Turn(drawn.sentence, f"would release {drawn.sentence}", partial(_start, drawn, now))


def _start(drawn: Draft, now: Snapshot, host: Host) -> Start:
    return drawn.start(now)
