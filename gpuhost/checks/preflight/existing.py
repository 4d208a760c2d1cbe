"""What exists already: a deployment made by hand, its data, and a release in progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.runner.contract import APPS, RESERVED
from gpuhost.snapshot import NotRead
from gpuhost.snapshot.docker import Container


@app_check("app.project", "The app's Compose project is its own, or may be taken over (`adopt`).")
def project(proposal: Proposal) -> Verdict:
    name = proposal.app.project
    running = _running_project(proposal)
    if running not in ("", name):
        return fail(
            f"project {name}, as for the release that runs",
            f"it runs as project {running}: another name has other volumes and networks, and its "
            "data would seem lost",
            fix=f"set x-gpuhost.project: {running}; or remove the app first",
        )
    foreign = [
        container
        for container in proposal.snapshot.docker.containers
        if container.project == name and container.directory != proposal.directory
    ]
    if not foreign:
        return ok(name)
    owners = {_app_of(container) for container in foreign} - {""}
    if owners:
        return fail(
            f"project {name} for {proposal.app.name} alone",
            f"it belongs to the app {', '.join(sorted(owners))}",
            fix="set another x-gpuhost.project for this app",
        )
    takes_over = f"{_in_words(foreign)}, which gpuhost did not release"
    mounts = sorted(
        {mount for container in foreign for mount in container.mounts.split(",") if mount}
    )
    evidence = f"their data: {', '.join(mounts)}" if mounts else ""
    if proposal.settings.adopt:
        return ok(f"takes over {takes_over}", expected=f"project {name}", evidence=evidence)
    return fail(
        f"project {name} unused, or adopt=True",
        f"it would replace {takes_over}",
        evidence=evidence,
        fix="set adopt=True to take them over. Data stays where it is: use absolute paths, "
        f"or move it to {proposal.directory}, which is ./ in the app file",
    )


def _running_project(proposal: Proposal) -> str:
    """The project of the current release; "" if there is none."""
    # app.busy reports what cannot be read.
    with suppress(NotRead):
        current = proposal.state.current_release if proposal.state else None
        return current.project if current else ""
    return ""


def _app_of(container: Container) -> str:
    """The app whose release created a container; "" if gpuhost did not create it."""
    path = PurePosixPath(container.directory)
    is_ours = path.name == "shared" and str(path.parent.parent) == str(APPS)
    return path.parent.name if is_ours else ""


def _in_words(containers: list[Container]) -> str:
    directories = sorted({container.directory for container in containers if container.directory})
    where = f" of {', '.join(directories)}" if directories else ""
    return (
        f"{', '.join(f'{container.name} ({container.state})' for container in containers)}{where}"
    )


@app_check("app.binds", "No other deployment writes where the app writes.")
def binds(proposal: Proposal) -> Verdict:
    written = sorted(set(_written_paths(proposal)))
    clashes = [
        f"{container.name} uses {mount}"
        for container in proposal.foreign
        if not _app_of(container)
        for mount in container.mounts.split(",")
        if any(_overlap(mount, path) for path in written)
    ]
    if not clashes:
        return ok(", ".join(written))
    judge = warn if proposal.settings.adopt else fail
    return judge(
        "paths that nothing else writes to",
        "; ".join(clashes),
        fix="stop that container: two programs that write to the same files damage them"
        + ("" if proposal.settings.adopt else "; or set adopt=True if they are meant to share it"),
    )


def _written_paths(proposal: Proposal) -> Iterator[str]:
    yield proposal.directory
    yield from (path for path in proposal.app.block.directories if path.startswith("/"))
    for service in proposal.services.values():
        for mount in service.mounts:
            of_the_host = any(_inside(mount.source, path) for path in RESERVED)
            if mount.source.startswith("/") and not mount.read_only and not of_the_host:
                yield mount.source


def _overlap(path: str, other: str) -> bool:
    return path.startswith("/") and (_inside(path, other) or _inside(other, path))


def _inside(path: str, directory: str) -> bool:
    return PurePosixPath(path).is_relative_to(PurePosixPath(directory))


@app_check("app.busy", "No release of the app is in progress.")
def busy(proposal: Proposal) -> Verdict:
    attempt = proposal.state.under_way if proposal.state else None
    if attempt is None:
        return ok("none in progress")
    return fail(
        "none in progress",
        attempt.sentence,
        fix=f"gpuhost logs INVENTORY --app {proposal.app.name} --follow; start after it has ended, "
        f"or end it: gpuhost abort INVENTORY {proposal.app.name}",
    )


@app_check("app.unfinished", "No release of the app was interrupted.")
def unfinished(proposal: Proposal) -> Verdict:
    attempt = proposal.state.cut_off if proposal.state else None
    if attempt is None:
        return ok("none was interrupted")
    return warn(
        "none was interrupted",
        f"interrupted: {attempt.sentence}",
        fix="nothing to do: the next release first finishes or undoes it; to undo it: "
        f"gpuhost abort INVENTORY {proposal.app.name}",
    )
