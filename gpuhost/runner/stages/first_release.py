"""An app's first release: no release ran before it, but perhaps what a person had started.

It is taken over by taking its place. If that fails, what the release has made goes, and nothing
else.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.runner.docker.compose import ask
from gpuhost.runner.docker.containers import everything, is_ours
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx
from gpuhost.runner.stages import migrate
from gpuhost.runner.stages.activation import take_down
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import ByHand, Release


@dataclass(frozen=True)
class Left:
    """What has become of what a person had started: gone, in words; and there, by name."""

    replaced: tuple[str, ...]
    untouched: tuple[str, ...]


def note_existing(release: Release) -> None:
    """Note what there is, before the release changes anything. Raises Failure."""
    if release.app.current.is_symlink() or release.record.by_hand is not None:
        return
    by_hand = (one for one in everything(release) if not is_ours(release, one))
    release.remember(by_hand={one.id: _noted(one) for one in by_hand})


def _noted(one: Container) -> ByHand:
    return ByHand(one.name, one.image, one.image_id, one.directory, one.state == "running")


def undo(release: Release) -> Left:
    """Nothing that the release has made is left running; volumes and directories stay.

    Raises Failure.
    """
    nginx.remove(release)
    present = everything(release)
    made = [one.name for one in present if _is_made_by(release, one)]
    if len(made) == len(present):
        _down(release)
    elif made:
        take_down(release, made)
    return _left(release, {one.id: one for one in present})


def _is_made_by(release: Release, one: Container) -> bool:
    return is_ours(release, one) or one.name == migrate.container(release)


def _down(release: Release) -> None:
    outcome = ask(release, "down", "--remove-orphans", seconds=300)
    if not outcome.ok:
        raise Failure("docker compose down failed", output=outcome.tail)


def _left(release: Release, present: dict[str, Container]) -> Left:
    by_hand = release.record.by_hand or {}
    kept = {each: one for each, one in by_hand.items() if each in present}
    # Compose stops a container before it makes the other: it may have come no further.
    stopped = [each for each in kept if kept[each].is_running and present[each].state != "running"]
    if stopped:
        try_run(release.log, "docker", "start", *stopped, seconds=120, quiet=True)
    return Left(
        replaced=tuple(str(one) for each, one in by_hand.items() if each not in present),
        untouched=tuple(one.name for one in kept.values()),
    )
