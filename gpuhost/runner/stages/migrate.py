"""A one-shot service migrates the database before the new release starts."""

from __future__ import annotations

from gpuhost.runner.data import stored
from gpuhost.runner.docker.compose import compose, environment, section, words
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.stages.render import write_host_files
from gpuhost.runner.state.release import Release

QUICK = 60
ONE_SHOT = "service_completed_successfully"


def migrate(release: Release) -> None:
    """The stage of a release. Raises Failure."""
    plan = release.plan
    if plan.migrate is None:
        release.log.write("no migration")
        return
    _require_backup(release)
    # With the images that were just built, by id.
    write_host_files(release)
    run_migration(release)


def run_migration(release: Release) -> None:
    """Run the migration, whatever became of one that was cut off. Raises Failure."""
    migration = release.plan.migrate
    assert migration is not None
    name = container(release)
    _end_of_another(release, name, migration.limit_s)
    one_shots = _dependencies(release, migration.service, migration.limit_s)
    words_ = words(
        release,
        "run",
        "--rm",
        "-T",
        *(() if one_shots else ("--no-deps",)),
        "--name",
        name,
        migration.service,
    )
    outcome = try_run(release.log, *words_, seconds=migration.limit_s, env=environment(release))
    if outcome.ok:
        return
    # Compose's client is gone; what it had started may not be.
    _stop(release, name)
    if outcome.status is None:
        raise Failure(
            f"the migration ({migration.service}) did not end within {migration.limit_s} s",
            output=outcome.tail,
            fix="if it only needs longer, raise migrate.limit_s in the app file",
        )
    raise Failure(
        f"the migration ({migration.service}) failed (exit {outcome.status})", output=outcome.tail
    )


def stop(release: Release) -> None:
    """One that has outlived its runner is stopped: the previous release must not run over it."""
    name = container(release)
    if release.plan.migrate and _is_there(name):
        release.log.write("stopping a migration that was cut off")
        _stop(release, name)


def container(release: Release) -> str:
    """Always the same, so that one that was cut off is found."""
    return f"gpuhost-{release.plan.app}-migrate"


def _require_backup(release: Release) -> None:
    plan, record = release.plan, release.record
    assert plan.migrate is not None
    if plan.migrate.without_backup or record.nothing_to_back_up:
        return
    if plan.backup is None:
        raise Failure(
            "no migration without a backup, and none is declared",
            fix="declare backup in the app file, or migrate.without_backup: true",
        )
    stored.require_intact(stored.find(release.app, record.backup))


def _dependencies(release: Release, service: str, seconds: int) -> bool:
    """What the migration needs is up, and what runs is left as it is; whether any is a one-shot.

    `compose run` would start them too, but recreates those that differ in the new release: the
    database under the app that still serves. One-shots cannot be waited for in another way.
    """
    needed = section(release, service).get("depends_on") or {}
    lasting = [name for name, how in needed.items() if how.get("condition") != ONE_SHOT]
    if lasting:
        compose(
            release,
            *("up", "-d", "--no-build", "--no-recreate"),
            *("--wait", "--wait-timeout", str(seconds)),
            *lasting,
            what=f"starting what {service} needs ({', '.join(lasting)})",
            seconds=seconds + QUICK,
        )
    return len(lasting) < len(needed)


def _end_of_another(release: Release, name: str, seconds: int) -> None:
    """A migration whose runner was cut off is not killed half-way, but waited for."""
    log = release.log
    if not _is_there(name):
        return
    log.write("waiting for the end of a migration that was cut off")
    try_run(log, "docker", "wait", name, seconds=seconds, quiet=True)
    _remove(release, name)


def _is_there(name: str) -> bool:
    words = ("docker", "container", "inspect", name)
    return try_run(NOWHERE, *words, seconds=QUICK, quiet=True).ok


def _stop(release: Release, name: str) -> None:
    try_run(release.log, "docker", "stop", "-t", "20", name, seconds=QUICK, quiet=True)
    _remove(release, name)


def _remove(release: Release, name: str) -> None:
    try_run(release.log, "docker", "rm", "-f", name, seconds=QUICK, quiet=True)
