"""A release replaces another. Release, rollback and resume at boot use the same function."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from gpuhost.runner.docker.compose import environment as compose_environment
from gpuhost.runner.docker.compose import services_to_start, words
from gpuhost.runner.docker.containers import find_trouble, is_ours, new_containers, note, own
from gpuhost.runner.docker.waiting import in_words, wait_until_up
from gpuhost.runner.docker.watch import Watch
from gpuhost.runner.failures.causes import cause
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx
from gpuhost.runner.stages import fingerprint, verification
from gpuhost.runner.stages.render import write_host_files
from gpuhost.runner.state.container import Container
from gpuhost.runner.state.release import Release

# Beyond the app's own loading time: pulling a container's file systems together takes a while.
SPARE = 120
# While Compose makes a container anew: the id of the one before, and its name.
OF_THE_MOMENT = re.compile(r"[0-9a-f]{12}_")


def activate(release: Release) -> None:
    """Start it in place of what runs, see it up, verified, and verified through nginx.

    Raises Failure; the previous release is not restored here.
    """
    up(release)
    verify(release)
    switch_nginx(release)
    try:
        fingerprint.again(release)
    except (Failure, OSError) as problem:  # a full disk does not make it a bad one
        release.log.write(f"warning: {problem}")


def up(release: Release) -> None:
    """Its containers in place of those that run; until they are up."""
    write_host_files(release)
    nginx.place(release)
    start(release)
    wait_until_up(release)


def start(release: Release) -> None:
    """`docker compose up`, with images by id and services this release does not have removed."""
    running, present = services_to_start(release), note(release)
    _take_down_others(release, running, present)
    _take_down_half_made(release, present)
    # Compose refuses to scale what a profile hides.
    scale = (f"--scale={name}={n}" for name, n in release.plan.scale.items() if name in running)
    command = words(
        release,
        "up",
        "-d",
        "--no-build",
        "--remove-orphans",
        *scale,
        *running,
    )
    limit = release.plan.verify.start_s + SPARE
    with Watch(release) as watch:
        outcome = try_run(release.log, *command, seconds=limit, env=compose_environment(release))
    if watch.trouble:
        raise Failure(f"docker compose up: {watch.trouble}", output=outcome.tail)
    if not outcome.ok:
        said, fix = _why(release, outcome)
        raise Failure(f"docker compose up: {said}", output=outcome.tail, fix=fix)


def _why(release: Release, failed: Outcome) -> tuple[str, str]:
    """What its containers say, before Compose's own message; and what to do."""
    if trouble := find_trouble(release, new_containers(release)):
        return trouble, ""
    said, fix = cause(failed.tail, failed.status)
    if failed.status is None and (waited_for := [one for one in own(release) if not one.is_up]):
        return f"{said}; {in_words(waited_for)}", fix
    return said, fix


def _take_down_others(
    release: Release, running: Collection[str], present: Iterable[Container]
) -> None:
    """Containers of another variant, or of a release that failed: their ports would be taken.

    --remove-orphans leaves those that a profile hides. What a person started by hand stays.
    """
    others = [
        container.name
        for container in present
        if container.service not in running and is_ours(release, container)
    ]
    if others:
        release.log.write(f"not of this release, removed: {', '.join(others)}")
        take_down(release, others)


def _take_down_half_made(release: Release, present: Iterable[Container]) -> None:
    """What Compose was cut off at: a container made under a name of the moment, to take the place
    of another. Its next `up` would find that name taken.
    """
    half_made = [
        one.name for one in present if one.state == "created" and OF_THE_MOMENT.match(one.name)
    ]
    if half_made:
        release.log.write(f"half created when it was cut off, removed: {', '.join(half_made)}")
        take_down(release, half_made)


def take_down(release: Release, names: Collection[str]) -> None:
    """These containers; volumes stay."""
    try_run(release.log, "docker", "stop", *names, seconds=SPARE, quiet=True)
    try_run(release.log, "docker", "rm", "-f", *names, seconds=SPARE, quiet=True)


def verify(release: Release) -> None:
    verification.verify(release)


def switch_nginx(release: Release) -> None:
    """Its site in place of the other's, and verified again as the world sees it."""
    nginx.switch(release)
    if release.plan.nginx:
        verification.verify(release, through=True)
