"""The decision of a rollback: from which release to which."""

from __future__ import annotations

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
from gpuhost.release.source import short_revision
from gpuhost.rollout.deliver import StartRequest
from gpuhost.rollout.draft import StartRefused, current_user, release_id, restore_failed
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.app_state import ReleaseState
from gpuhost.snapshot.apps import Apps

# There is no build. The app loads its models, twice if the rollback fails.
LIMIT_SECONDS = 4 * 3600
# The length of an abbreviated commit in git.
SHORTEST_REVISION = 7


def decide(app: str, settings: Settings, release: str | None) -> Action | NoChange:
    """Raises StartRefused."""
    snapshot = read(settings)
    current, target = from_and_to(snapshot.apps, app, release)
    if current is None:
        change = f"to {_in_words(target)}: nothing runs since the last release failed"
    elif _original(current) == _original(target):
        return NoChange(f"{app}: {_in_words(target)} is already running")
    else:
        change = f"from {_in_words(current)} to {_in_words(target)}"
    return Action(
        f"{app}: rolls back {change}",
        f"{app}: would roll back {change}",
        partial(_start, app, target, snapshot),
        first=known_app(snapshot.apps, app).cut_off,
    )


def from_and_to(apps: Apps, app: str, name: str | None) -> tuple[ReleaseState | None, ReleaseState]:
    """The release that runs, or None if that is unknown, and the release to roll back to.

    Raises StartRefused.

    + name: an id or a revision; None: the previous release
    """
    state = known_app(apps, app)
    current = verified_release(state)
    require_idle(state)
    running = None if restore_failed(state) else current
    verified = [release for release in state.releases if release.verified]
    if name is not None:
        return running, _named(verified, name)
    if running is None:
        return None, current
    # A release that was rolled back to keeps its age: the next rollback goes further back, and
    # never to the release that was rolled back from.
    newest_first = [release.id for release in state.releases]
    began = {id: -place for place, id in enumerate(newest_first)}
    age = [began.get(_original(release), -len(began)) for release in verified]
    now = began.get(_original(current), -len(began))
    older = [(at, release) for at, release in zip(age, verified, strict=True) if at < now]
    if not older:
        raise StartRefused(["there is no verified release before the current one"])
    return running, max(older, key=lambda pair: pair[0])[1]


def _named(verified: list[ReleaseState], name: str) -> ReleaseState:
    """The newest release with this id or revision."""
    for release in verified:
        is_revision = len(name) >= SHORTEST_REVISION and release.revision.startswith(name)
        if release.id == name or is_revision:
            return release
    ids = ", ".join(release.id for release in verified)
    raise StartRefused([f"{name} is not a verified release of this app; verified are: {ids}"])


def _original(release: ReleaseState) -> str:
    return release.rollback_of or release.id


def _in_words(release: ReleaseState) -> str:
    return f"{_original(release)} (revision {short_revision(release.revision)})"


def _start(app: str, target: ReleaseState, snapshot: Snapshot, host: Host) -> StartRequest:
    by = current_user()
    return StartRequest(
        app=app,
        id=release_id(snapshot, app, target.inputs),
        by=by,
        verb=("rollback", "--to", target.id, "--by", by),
        limit_s=LIMIT_SECONDS,
    )
