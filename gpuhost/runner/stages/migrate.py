"""The stage `migrate`: a one-shot service migrates the database before the release starts."""

from __future__ import annotations

from gpuhost.runner.data import stored
from gpuhost.runner.docker.compose import compose, environment, section, words
from gpuhost.runner.docker.progress_lines import PROGRESS
from gpuhost.runner.failures.causes import explain
from gpuhost.runner.failures.known_failures import OF_MIGRATIONS
from gpuhost.runner.failures.matches import Matches
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.stages.render import write_host_files
from gpuhost.runner.state.release import Release

QUICK = 60
PROJECT = '{{index .Config.Labels "com.docker.compose.project"}}'
ONE_SHOT = "service_completed_successfully"


def migrate(release: Release) -> None:
    """The stage of a release. Raises Failure."""
    plan = release.plan
    if plan.migrate is None:
        release.log.write("no migration")
        return
    _require_backup(release)
    # With the images that were just built.
    write_host_files(release)
    run_migration(release)


def run_migration(release: Release) -> None:
    """Run the migration, after an interrupted one has ended. Raises Failure."""
    migration = release.plan.migrate
    assert migration is not None
    name = container(release)
    _wait_for_interrupted(release, name, migration.limit_s)
    one_shots = _dependencies(release, migration.service, migration.limit_s)
    command = words(
        release,
        "run",
        "--rm",
        "-T",
        *(() if one_shots else ("--no-deps",)),
        "--name",
        name,
        migration.service,
    )
    matches = Matches(OF_MIGRATIONS)
    outcome = try_run(
        release.log,
        *command,
        seconds=migration.limit_s,
        env=environment(release),
        on_line=matches.read_earlier,
        noise=PROGRESS,
    )
    if outcome.ok:
        return
    # The container may still run after Compose's client has ended.
    _stop(release, name)
    if outcome.status is None:
        raise Failure(
            f"the migration ({migration.service}) did not end within {migration.limit_s} s",
            output=outcome.tail,
            fix="if the migration needs more time, raise migrate.limit_s in the app file",
        )
    found = explain(outcome.tail, outcome.status, matches)
    raise Failure(
        f"the migration ({migration.service}) failed (exit {outcome.status}): {found.said}",
        output=outcome.tail,
        fix=found.fix,
    )


def stop(release: Release) -> None:
    """Stop an interrupted migration before the previous release starts."""
    name = container(release)
    if release.plan.migrate and _project_of(name) == release.plan.project:
        release.log.write("stopping an interrupted migration")
        _stop(release, name)


def container(release: Release) -> str:
    """The name is always the same, so that an interrupted migration is found."""
    return f"gpuhost-{release.plan.app}-migrate"


def _require_backup(release: Release) -> None:
    plan, record = release.plan, release.record
    assert plan.migrate is not None
    if plan.migrate.without_backup or record.nothing_to_back_up:
        return
    if plan.backup is None:
        raise Failure(
            "a migration needs a backup, and none is declared",
            fix="declare backup in the app file, or set migrate.without_backup: true",
        )
    stored.require_intact(stored.find(release.app, record.backup))


def _dependencies(release: Release, service: str, seconds: int) -> bool:
    """Start the services that the migration needs; whether one of them is a one-shot.

    `compose run` would also recreate services that differ in the new release, such as the database
    of the running app. It is used only if a one-shot is needed.
    """
    needed = section(release, service).get("depends_on") or {}
    lasting = [name for name, how in needed.items() if how.get("condition") != ONE_SHOT]
    if lasting:
        compose(
            release,
            *("up", "-d", "--no-build", "--no-recreate"),
            *("--wait", "--wait-timeout", str(seconds)),
            *lasting,
            what=f"starting the services that {service} needs ({', '.join(lasting)})",
            seconds=seconds + QUICK,
        )
    return len(lasting) < len(needed)


def _wait_for_interrupted(release: Release, name: str, seconds: int) -> None:
    """Do not kill a migration: wait until it has ended."""
    log = release.log
    project = _project_of(name)
    if project is None:
        return
    if project != release.plan.project:
        raise Failure(
            f"container {name}, the name of this app's migration, is not of this app",
            fix=f"docker rename {name} OTHER; if a Compose file names it, correct container_name",
        )
    log.write("waiting for an interrupted migration to end")
    try_run(log, "docker", "wait", name, seconds=seconds, quiet=True)
    _remove(release, name)


def _project_of(name: str) -> str | None:
    """The Compose project of a container; "": it has none; None: no container has the name."""
    words = ("docker", "container", "inspect", "--format", PROJECT, name)
    outcome = try_run(NOWHERE, *words, seconds=QUICK, quiet=True)
    return outcome.out.strip() if outcome.ok else None


def _stop(release: Release, name: str) -> None:
    try_run(release.log, "docker", "stop", "-t", "20", name, seconds=QUICK, quiet=True)
    _remove(release, name)


def _remove(release: Release, name: str) -> None:
    try_run(release.log, "docker", "rm", "-f", name, seconds=QUICK, quiet=True)
