"""An app's first release, which may replace containers started by hand.

If it fails, everything that it has created is removed, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.runner.docker.compose import ask
from gpuhost.runner.docker.containers import all_containers, is_ours
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx
from gpuhost.runner.stages import migrate
from gpuhost.runner.stages.activation import remove_containers
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import ByHand, Release
from gpuhost.runner.state.releases import current_id


@dataclass(frozen=True)
class Existing:
    """Containers started by hand: those that are gone, in words, and the names of the others."""

    replaced: tuple[str, ...]
    untouched: tuple[str, ...]


def note_existing(release: Release) -> None:
    """Record containers started by hand before the first change. Raises Failure."""
    if current_id(release.app) or release.record.by_hand is not None:
        return
    by_hand = (c for c in all_containers(release) if not is_ours(release, c))
    release.remember(by_hand={c.id: _by_hand(c) for c in by_hand})


def _by_hand(c: Container) -> ByHand:
    return ByHand(c.name, c.image, c.image_id, c.directory, c.state == "running")


def undo(release: Release) -> Existing:
    """Remove everything that the release has created, except volumes and directories.

    Raises Failure.
    """
    nginx.remove(release)
    present = all_containers(release)
    created = [c.name for c in present if _is_created_by(release, c)]
    if len(created) == len(present):
        _down(release)
    elif created:
        remove_containers(release, created)
    return _left(release, {c.id: c for c in present})


def _is_created_by(release: Release, container: Container) -> bool:
    return is_ours(release, container) or container.name == migrate.container(release)


def _down(release: Release) -> None:
    outcome = ask(release, "down", "--remove-orphans", seconds=300)
    if not outcome.ok:
        raise Failure("docker compose down failed", output=outcome.tail)


def _left(release: Release, present: dict[str, Container]) -> Existing:
    by_hand = release.record.by_hand or {}
    kept = {id_: container for id_, container in by_hand.items() if id_ in present}
    # Compose stops a container before it creates its replacement.
    stopped = [id_ for id_ in kept if kept[id_].is_running and present[id_].state != "running"]
    if stopped:
        try_run(release.log, "docker", "start", *stopped, seconds=120, quiet=True)
    return Existing(
        replaced=tuple(str(c) for id_, c in by_hand.items() if id_ not in present),
        untouched=tuple(container.name for container in kept.values()),
    )
