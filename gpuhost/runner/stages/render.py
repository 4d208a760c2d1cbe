"""The stage `render`: asks Compose what the app's files mean, and refuses what cannot run.

It writes the files that need secrets and the state of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpuhost.runner.data import directories, schedule, secrets, seed
from gpuhost.runner.data.env_file import write_env_file
from gpuhost.runner.data.safe_paths import require_no_way_out
from gpuhost.runner.docker import images
from gpuhost.runner.docker.compose import ask, config, write_model
from gpuhost.runner.docker.resolved_model import extension, running
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.resolved.health import of_images
from gpuhost.runner.resolved.host import engine
from gpuhost.runner.resolved.path_facts import uses
from gpuhost.runner.resolved.pins import pins
from gpuhost.runner.resolved.resolve import resolve, store
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.release import Release


def render(release: Release) -> None:
    """Write and check everything that Compose needs to start the release.

    No file of the running app is changed, and nothing is created before all secrets exist and
    Compose accepts the files. It is repeated after an interruption.

    Raises Failure.
    """
    secrets.require(release)
    # New secrets are used for the check, and stored only after it.
    secrets.draw(release)
    write_env_file(release)
    release.app.shared.mkdir(parents=True, exist_ok=True)
    if not _has_final_model(release):
        changed = resolve(release)
        schedule.check(release)
        directories.check(release)
        for note in changed.notes:
            release.log.write(note)
        store(release, changed)
    _require_no_way_out(release)
    secrets.generate(release)
    _write_runs(release, {})
    outcome = ask(release, "config", "-q")
    if not outcome.ok:
        last = f": {outcome.tail[-1]}" if outcome.tail else ""
        raise Failure(
            f"docker compose config refuses the app's files with its secrets{last}",
            output=outcome.tail,
            fix="correct the service that it names: a value of the plan or a secret does not fit",
        )


def ensure_resolved(release: Release) -> None:
    """Resolve a release of an older gpuhost, before it is activated again. Raises Failure."""
    if not release.paths.resolved.exists():
        write_env_file(release)
        release.app.shared.mkdir(parents=True, exist_ok=True)
        store(release, resolve(release))


def write_host_files(release: Release) -> None:
    """Write directories, secret files and environment for the containers of the release.

    Also before a release is restored: the failed one may have changed them.

    Raises Failure.
    """
    ensure_resolved(release)
    directories.make(release)
    _require_no_way_out(release)
    if copies := extension(config(release)).copies:
        for path in copies:
            seed.seed(release, path)
        # The source may have brought a link that leads out.
        _require_no_way_out(release)
    _write_runs(release, secrets.place_files(release))


def _require_no_way_out(release: Release) -> None:
    mounts = ((Path(use.path), use.where) for use in uses(config(release)))
    require_no_way_out(release, mounts)


def _has_final_model(release: Release) -> bool:
    """A rollback runs what ran: it has a copy of its target's model.

    A release is not resolved again once its containers may have run: they can write to a part of
    the source that they mount, also to its Compose files.
    """
    is_final = release.plan.rollback_of is not None or Journal(release.paths.journal).has_started
    return is_final and release.paths.resolved.exists()


def _write_runs(release: Release, changed: Mapping[str, int]) -> None:
    """Write secrets.env, and compose.json: the model with secrets and image ids.

    + changed: secrets that are files, with modification time
    """
    write_env_file(release)
    tags, values = release.record.tags, secrets.values(release)
    model = pins(config(release), release.plan, tags, values, changed)
    checks = _image_checks(release)
    start_s = release.plan.verify.start_s
    checked = of_images(model, checks, engine() if checks else 0, start_s)
    write_model(release.paths.runs, checked)


def _image_checks(release: Release) -> dict[str, images.ImageCheck]:
    """HEALTHCHECK of the recorded images, for services without a check of their own."""
    if release.is_old:
        return {}
    found = {
        name: images.find(release.record.tags[name])
        for name, section in running(config(release)).items()
        if name in release.record.tags and not section.get("healthcheck")
    }
    return {name: image.check for name, image in found.items() if image and image.check}
