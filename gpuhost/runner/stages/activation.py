"""Activates a release: starts its containers, verifies it, switches nginx.

Release, rollback and resume use the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from gpuhost.runner.docker.compose import config, services_to_start, words
from gpuhost.runner.docker.compose import environment as compose_environment
from gpuhost.runner.docker.containers import (
    find_trouble,
    is_ours,
    new_containers,
    note_existing,
    release_containers,
)
from gpuhost.runner.docker.progress_lines import PROGRESS
from gpuhost.runner.docker.resolved_model import extension
from gpuhost.runner.docker.waiting import in_words, wait_until_up
from gpuhost.runner.docker.watch import Watch
from gpuhost.runner.failures.causes import cause
from gpuhost.runner.lib.commands import Outcome, run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx
from gpuhost.runner.stages import fingerprint, verification
from gpuhost.runner.stages.changed import to_recreate
from gpuhost.runner.stages.lost_cards import lost_cards, require_cards, without_cards
from gpuhost.runner.stages.render import write_host_files
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release

# Seconds in addition to verify.start_s, to create the containers.
SPARE = 120
# The name of a container while Compose recreates it: ID_NAME.
TEMPORARY_NAME = re.compile(r"[0-9a-f]{12}_")


def activate(release: Release) -> None:
    """Start and verify a release, directly and through nginx. Raises Failure."""
    up(release)
    verify(release)
    switch_nginx(release)
    try:
        fingerprint.update(release)
    except (Failure, OSError) as error:  # a full disk, for example
        release.log.write(f"warning: {error}")


def up(release: Release) -> None:
    """Replace the running containers, and wait until the new ones are up."""
    write_host_files(release)
    nginx.place(release)
    start(release)
    wait_until_up(release)
    keep_running(release)


def start(release: Release) -> None:
    """Run `docker compose up` with images by id; remove containers of other releases."""
    # Not --remove-orphans: the file has only the services of this release.
    running, present = services_to_start(release), note_existing(release)
    _remove_others(release, running, present)
    _remove_half_created(release, present)
    changed = (
        *to_recreate(release, running, present),
        *without_cards(release, running, present),
    )
    if changed:
        # Not removed before: Compose keeps the anonymous volumes of a container that it replaces.
        _compose_up(release, "--force-recreate", *dict.fromkeys(changed))
    _compose_up(release, *running)


def _compose_up(release: Release, *arguments: str) -> None:
    command = words(release, "up", "-d", "--no-build", *arguments)
    limit = release.plan.verify.start_s + SPARE
    with Watch(release) as watch:
        env = compose_environment(release)
        outcome = try_run(release.log, *command, seconds=limit, env=env, noise=PROGRESS)
    if watch.trouble:
        raise Failure(f"docker compose up: {watch.trouble}", output=outcome.tail)
    if not outcome.ok:
        reason, fix = _reason(release, outcome)
        raise Failure(f"docker compose up: {reason}", output=outcome.tail, fix=fix)


def keep_running(release: Release) -> None:
    """Keep servers running whose file has no restart policy. Others may be long one-shots."""
    lasting = extension(config(release)).lasting
    containers = [
        container
        for container in release_containers(release)
        if container.service in lasting and container.state == "running" and container.one_shot
    ]
    servers = [container.name for container in containers if container.serves]
    if servers:
        release.log.write(f"restart: unless-stopped for {', '.join(servers)}")
        update = ("docker", "update", "--restart", "unless-stopped", *servers)
        run(release.log, *update, seconds=SPARE, what="docker update --restart", quiet=True)
    for container in containers:
        if not container.serves:
            release.log.write(
                f"{container.service} still runs, without a restart policy, a port and a health "
                "check: it is not started again after an exit with 0, nor at boot. Set `restart` "
                "in the Compose file if it must run always; name it in x-gpuhost.one_shots if it "
                "ends by itself"
            )


def _reason(release: Release, failed: Outcome) -> tuple[str, str]:
    """The reason, from the containers or from Compose's message, and its fix."""
    if trouble := find_trouble(release, new_containers(release)):
        return trouble, ""
    reason, fix = cause(failed.tail, failed.status)
    if failed.status is None and (
        waiting := [c for c in release_containers(release) if not c.is_up]
    ):
        return f"{reason}; {in_words(release, waiting)}", fix
    return reason, fix


def _remove_others(
    release: Release, running: Collection[str], present: Iterable[Container]
) -> None:
    """Containers of another variant, or of a failed release, would keep their ports.

    So would those of services that the files no longer have. Containers that a person started of
    a service that is not in this release are kept.
    """
    known = {*config(release)["services"], *extension(config(release)).inactive}
    others = [
        container.name
        for container in present
        if container.service not in running
        and (is_ours(release, container) or container.service not in known)
    ]
    if others:
        release.log.write(f"containers of other releases removed: {', '.join(others)}")
        remove_containers(release, others)


def _remove_half_created(release: Release, present: Iterable[Container]) -> None:
    """Containers with a temporary name, left by an interrupted `up`: the next one would fail."""
    half_created = [
        c.name for c in present if c.state == "created" and TEMPORARY_NAME.match(c.name)
    ]
    if half_created:
        release.log.write(f"containers of an interrupted start removed: {', '.join(half_created)}")
        remove_containers(release, half_created)


def remove_containers(release: Release, names: Collection[str]) -> None:
    """Volumes are kept."""
    try_run(release.log, "docker", "stop", *names, seconds=SPARE, quiet=True)
    try_run(release.log, "docker", "rm", "-f", *names, seconds=SPARE, quiet=True)


def verify(release: Release) -> None:
    require_cards(release)
    verification.verify(release)


def restore_cards(release: Release) -> None:
    """After systemd was reloaded for a changed timer: on some hosts this takes the cards."""
    if lost_cards(release_containers(release)):
        up(release)
        verify(release)


def switch_nginx(release: Release) -> None:
    """Switch nginx to the release's site, and verify through it."""
    nginx.switch(release)
    if release.plan.nginx:
        verification.verify(release, through=True)
