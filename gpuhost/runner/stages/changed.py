"""Containers that Compose would keep, although they are not as the release needs them.

Compose compares only the hash of the configuration that it made a container from. `docker update`,
`docker network disconnect` and edited files of the engine change no hash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from gpuhost.runner.contract import (
    CONFIG_HASH,
    RecordedContainers,
    differences,
    recorded_containers,
)
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id


def to_recreate(
    release: Release, running: Collection[str], present: Iterable[Container]
) -> tuple[str, ...]:
    """The services to recreate; the log says why."""
    reasons = dict(_reasons(release, [c for c in present if c.service in running]))
    for service, reason in reasons.items():
        release.log.write(f"{service}: its containers are replaced: {reason}")
    return tuple(reasons)


def _reasons(release: Release, present: list[Container]) -> Iterator[tuple[str, str]]:
    current = release.app.release(current_id(release.app)).home
    if record := recorded_containers(current):
        for container in present:
            if changed := _changed(record, container):
                yield container.service, f"no longer as verified: {', '.join(changed)}"


def _changed(record: RecordedContainers, container: Container) -> list[str]:
    """The fields; none if Compose replaces the container anyway."""
    verified, now = record.services.get(container.service), container.made_with
    if verified is None or verified.get(CONFIG_HASH) != now.get(CONFIG_HASH):
        return []
    return list(differences(verified, now, record.unrecorded))
