"""Containers that Compose would keep, although they are not as the release needs them.

Compose compares only the hash of the configuration that it made a container from. `docker update`,
`docker network disconnect` and edited files of the engine change no hash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from gpuhost.runner.contract import CONFIG_HASH, differences, recorded_containers
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
    verified = recorded_containers(current) or {}
    for container in present:
        if changed := _changed(verified.get(container.service), container):
            yield container.service, f"no longer as verified: {', '.join(changed)}"


def _changed(verified: Mapping[str, str] | None, container: Container) -> list[str]:
    """The fields; none if Compose replaces the container anyway."""
    if verified is None or verified.get(CONFIG_HASH) != container.made_with.get(CONFIG_HASH):
        return []
    return list(differences(verified, container.made_with))
