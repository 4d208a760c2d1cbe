"""Containers that run and have lost their NVIDIA cards: they are recreated, and looked at again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gpuhost.runner.contract import CARDS_LOST, ask_for_cards
from gpuhost.runner.docker.containers import release_containers
from gpuhost.runner.lib.commands import environment
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release


def without_cards(
    release: Release, running: Collection[str], present: Iterable[Container]
) -> tuple[str, ...]:
    """The services to recreate although nothing in their files has changed; the log says why."""
    lost = lost_cards(container for container in present if container.service in running)
    for service, evidence in lost.items():
        release.log.write(
            f"{service}: its containers are replaced: they lost their cards: {evidence}"
        )
    return tuple(lost)


def require_cards(release: Release) -> None:
    """Raises Failure if a new container cannot use the cards that it was given."""
    for service, evidence in lost_cards(release_containers(release)).items():
        raise Failure(
            f"{service}: its container cannot use its cards: {evidence}",
            fix="gpuhost check: the checks of nvidia and toolkit say why",
        )


def lost_cards(containers: Iterable[Container]) -> dict[str, str]:
    """Services whose running containers lost their cards, and the evidence."""
    lost = {}
    for container in containers:
        use = container.card_use
        if use and container.state == "running":
            state, evidence = ask_for_cards(container.id, container.pid, use, environment())
            if state == CARDS_LOST:
                lost[container.service] = evidence
    return lost
