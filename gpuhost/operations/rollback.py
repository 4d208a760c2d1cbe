"""Bringing back a release of before: its files and its images, verified like a new one."""

from __future__ import annotations

from functools import partial

from pyinfra.api import operation
from pyinfra.api.host import Host

from gpuhost.operations.app_operation import Action, NoChange, run_action
from gpuhost.operations.reading import Commands, read
from gpuhost.release.source import short_revision
from gpuhost.rollout.deliver import StartRequest
from gpuhost.rollout.draft import Refused, current_user, release_id, restore_failed
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apps import Apps, Release

# Nothing is built: what it takes is to load, twice if it fails.
LIMIT_SECONDS = 4 * 3600
# As much of a commit as git itself shows.
LEAST_OF_A_REVISION = 7


@operation()
def rolled_back(app: str, settings: Settings, release: str | None = None) -> Commands:
    """
    Have a release of before back, as an attempt of its own: if it cannot be verified, what runs now
    comes back. Data is not touched: what a migration did to it stays.

    + app: its name
    + settings: the settings of this host
    + release: which, as `gpuhost releases` lists them, or its revision, which is the same on every
      host; None: the last verified one before this, or the current one where the last attempt left
      nothing running

    **Example:**

    .. code:: python

        rolled_back(name="Rollback tts", app="tts", declared=settings)
    """
    yield from run_action(app, partial(_decide, app, settings, release))


def _decide(app: str, settings: Settings, release: str | None) -> Action | NoChange:
    snapshot = read(settings)
    current, target = _from_and_to(snapshot.apps, app, release)
    if current is None:
        way = f"to {_told(target)}: after the last attempt nothing came back"
    elif _original(current) == _original(target):
        return NoChange(f"{app}: {_told(target)} runs already")
    else:
        way = f"from {_told(current)} to {_told(target)}"
    return Action(
        f"{app}: rolls back {way}",
        f"{app}: would roll back {way}",
        partial(_start, app, target, snapshot),
    )


def _from_and_to(apps: Apps, app: str, wanted: str | None) -> tuple[Release | None, Release]:
    """What runs, None if nobody knows, and what is to run. Raises Refused."""
    known = apps.get(app)
    if known is None:
        there = ", ".join(sorted(apps.by_name)) or "none"
        raise Refused([f"it was never released on this host; released were: {there}"])
    current = known.current_release
    if current is None:
        raise Refused(["no release of it was ever verified on this host; release it first"])
    if known.under_way:
        raise Refused([f"{known.under_way.kind} {known.under_way.id} is under way; wait for it"])
    running = None if restore_failed(known) else current
    verified = [one for one in known.releases if one.verified]
    if wanted is not None:
        target = next((one for one in verified if _is(one, wanted)), None)
        there = ", ".join(one.id for one in verified)
        if target is None:
            raise Refused([f"{wanted} is no verified release of it; there are: {there}"])
        return running, target
    if running is None:
        return None, current
    # What was rolled back to is as old as it was: once more goes further back, and never to what
    # was fled from.
    older = [one for one in verified if _original(one) < _original(current)]
    if not older:
        raise Refused(["there is no verified release before the current one"])
    return running, max(older, key=_original)


def _is(release: Release, wanted: str) -> bool:
    is_revision = len(wanted) >= LEAST_OF_A_REVISION and release.revision.startswith(wanted)
    return release.id == wanted or is_revision


def _original(release: Release) -> str:
    return release.rollback_of or release.id


def _told(release: Release) -> str:
    return f"{_original(release)} (revision {short_revision(release.revision)})"


def _start(app: str, target: Release, snapshot: Snapshot, host: Host) -> StartRequest:
    by = current_user()
    return StartRequest(
        app=app,
        id=release_id(snapshot, app, target.inputs),
        by=by,
        verb=("rollback", "--to", target.id, "--by", by),
        limit_s=LIMIT_SECONDS,
    )
