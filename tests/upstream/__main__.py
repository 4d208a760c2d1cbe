"""The command ``python -m tests.upstream``: the packaged apps from their real repositories."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.e2e.commands import deploy
from tests.lab import lab, state
from tests.lab.hosts import LabHost
from tests.lab.process import LabError, this_process
from tests.upstream import bases, checkout, registries
from tests.upstream.app import UpstreamApp, forget
from tests.upstream.story import NotHeld, Result, Story
from tests.upstream.system import System
from tests.upstream.systems import SYSTEMS
from tests.upstream.table import table

NAMES = [system.name for system in SYSTEMS]


@click.command(epilog="Example: make upstream DIR=~/clones NAMES=z-pulse")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--lab", "lab_name", default="upstream", show_default=True, help="Its host is new.")
@click.option("--keep", is_flag=True, help="Keep the host; the next run with --keep uses it.")
def main(directory: Path, names: tuple[str, ...], lab_name: str, keep: bool) -> None:
    """Release the packaged apps from clones of their repositories, on one lab host.

    DIRECTORY has a clone of each, named as the repository or owner+name. All revisions that the
    app files pin must be in it. Without NAMES, all of them.
    """
    systems = [system() for system in SYSTEMS if system.name in (names or NAMES)]
    clones = {system.name: checkout.find(directory, system.repository) for system in systems}
    try:
        results = _run(_host(lab_name, keep), systems, clones)
    finally:
        if not keep:
            lab.down(lab_name)
    click.echo("\n" + table(results))
    sys.exit(any(result.failed is not None for result in results))


def _host(lab_name: str, keep: bool) -> LabHost:
    name = f"{lab_name}-1"
    kept = state.load(lab_name) if keep else None
    if kept is not None and any(host.name == name for host in kept.hosts):
        return lab.host(name, lab_name)
    made = lab.Lab(lab_name, owner=None if keep else this_process())
    (host,) = made.boot(lab.HostSpec(name, "trixie", card="p40"))
    return host


def _run(host: LabHost, systems: list[System], clones: dict[str, Path]) -> list[Result]:
    _say("provisioning the host")
    provisioned = deploy(host)
    if provisioned.status != 0:
        raise LabError(provisioned.stderr)
    return [_release(host, system, clones[system.name]) for system in systems]


def _release(host: LabHost, system: System, clone: Path) -> Result:
    """All steps of a system; a failure is part of the result."""
    result = Result(system)
    log = Path(f"upstream-{system.name}.log").resolve()
    log.unlink(missing_ok=True)
    with TemporaryDirectory(prefix="upstream-") as temporary:
        try:
            with checkout.served_here(Path(temporary)) as git:
                _prepare(host, system, clone, Path(temporary), result, log, git).tell()
        except (NotHeld, LabError) as error:
            result.failed = str(error)
            _say(f"{system.name} FAILED in {error}\n(all output: {log})")
    return result


def _prepare(
    host: LabHost,
    system: System,
    clone: Path,
    temporary: Path,
    result: Result,
    log: Path,
    git: Mapping[str, str],
) -> Story:
    for stub in system.stubs:
        _say(f"{system.name}: stubbed: {stub.what}")
    settings = registries.read()
    for base in system.bases:
        _say(f"{system.name}: base image {base.tag}: {base.about}")
        bases.load(host, base, settings)
    project, repository = temporary / "project", temporary / "repository"
    project.mkdir()
    ref = checkout.pinned_ref(checkout.app_file(system.name))
    revisions = checkout.make(clone, repository, system, ref)
    result.pinned = revisions.pinned
    url = checkout.serve(host, repository, system.name)
    app = UpstreamApp.made(system, project, url, log, git)
    # Apps share ports and the site of unknown names.
    for name in NAMES:
        forget(host, name)
    system.prepare(host, repository, settings)
    return Story(system, app, host, revisions, result, _say)


def _say(words: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {words}", err=True)


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit(f"upstream: {error}")
