"""Migrations: only with a backup, without restarting services, and after an interruption."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.runner.data import backup
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Directory, Migrate, Secret
from gpuhost.runner.stages.migrate import migrate, stop
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, App, Programs, app, programs

__all__ = ["app", "programs"]

HEALTHY = {"condition": "service_healthy"}
ONE_SHOT = {"condition": "service_completed_successfully"}
RUN = "docker compose run --rm -T --no-deps --name gpuhost-app-migrate migrate"


def with_dependencies(programs: Programs, **needed: dict[str, str]) -> None:
    programs.compose({"web": {}, "db": {}, "init": {}, "migrate": {"depends_on": needed}})


@pytest.fixture
def quiet(programs: Programs) -> Programs:
    """No migration container exists, and the migration has no dependencies."""
    with_dependencies(programs)
    programs.answer("docker container inspect *", status=1)
    return programs


def a_release(app: App, **plan: Any) -> Release:
    app.paths.shared.mkdir(exist_ok=True)
    minimal = {"migrate": Migrate("migrate", limit_s=60, without_backup=True)}
    return app.release(**{**minimal, **plan})


def changing(programs: Programs) -> list[str]:
    asking = (" config ", " inspect ")
    return [line for line in programs.calls if not any(word in line for word in asking)]


def test_the_migration_runs_once_with_the_image_that_was_built(app: App, quiet: Programs) -> None:
    release = a_release(app)
    release.remember(tags={"migrate": "gpuhost/app/migrate:aaaaaaaaaaaa"})
    migrate(release)
    assert changing(quiet) == [RUN]
    assert "gpuhost/app/migrate:aaaaaaaaaaaa" in release.paths.runs.read_text()


def test_directories_and_secret_files_exist_before_the_migration(app: App, quiet: Programs) -> None:
    fail_if_missing = (
        f"test -d {app.paths.shared}/data && test -e {app.paths.shared}/key.pem || exit 9"
    )
    quiet.answer("docker compose * run *", then=fail_if_missing)
    secret, given = (Secret("KEY", path="key.pem"),), {"KEY": "k"}
    migrate(a_release(app, directories=(Directory("data", ME),), secrets=secret, given=given))
    assert changing(quiet) == [RUN]
    assert (app.paths.shared / "key.pem").read_text() == "k"
    assert (app.paths.shared / "data").is_dir()


def test_without_a_migration_nothing_runs(app: App, quiet: Programs) -> None:
    migrate(a_release(app, migrate=None))
    assert quiet.calls == []


def test_dependencies_are_started_and_running_ones_are_not_recreated(
    app: App, quiet: Programs
) -> None:
    with_dependencies(quiet, db=HEALTHY)
    migrate(a_release(app))
    up = "docker compose up -d --no-build --no-recreate --wait --wait-timeout 60 db"
    assert changing(quiet) == [up, RUN]


def test_an_unknown_service_fails(app: App, quiet: Programs) -> None:
    quiet.compose({"web": {}})
    with pytest.raises(Failure, match="have no service migrate") as raised:
        migrate(a_release(app))
    assert "migrate.service" in raised.value.fix


def test_compose_starts_a_one_shot_dependency(app: App, quiet: Programs) -> None:
    with_dependencies(quiet, init=ONE_SHOT)
    migrate(a_release(app))
    assert changing(quiet) == [RUN.replace(" --no-deps", "")]


def test_a_dependency_that_does_not_start_fails(app: App, quiet: Programs) -> None:
    with_dependencies(quiet, db=HEALTHY)
    quiet.answer("docker compose * up *", status=1, err="container db is unhealthy\n")
    with pytest.raises(Failure, match=r"that migrate needs \(db\) failed") as raised:
        migrate(a_release(app))
    assert raised.value.output == ("container db is unhealthy",)
    assert not quiet.called(" run ")


def test_the_output_of_a_failed_migration_is_quoted(app: App, quiet: Programs) -> None:
    quiet.answer("docker compose * run *", "P3009\nmigrate found failed migrations\n", status=1)
    with pytest.raises(Failure, match=r"migration \(migrate\) failed \(exit 1\)") as raised:
        migrate(a_release(app))
    assert raised.value.output == ("P3009", "migrate found failed migrations")
    assert "an earlier migration failed" in raised.value.said
    assert "prisma migrate resolve" in raised.value.fix


def test_the_cause_of_a_failed_migration_may_stand_long_before_its_end(
    app: App, quiet: Programs
) -> None:
    reason = "Error: P1001: Can't reach database server at `db`:`5432`"
    out = "".join(f"{line}\n" for line in (reason, *(f"  at frame {n}" for n in range(60))))
    progress = " Container app-db-1  Running\n"
    quiet.answer("docker compose * run *", f"{progress}{out}", status=1)
    with pytest.raises(
        Failure, match=r"\(exit 1\): the database does not answer at db 5432"
    ) as raised:
        migrate(a_release(app))
    assert "service_healthy" in raised.value.fix
    assert "Container app-db-1" not in "".join(raised.value.output)


@pytest.mark.slow
def test_a_migration_over_its_time_limit_is_stopped_and_its_container_removed(
    app: App, quiet: Programs
) -> None:
    quiet.answer("docker compose * run *", then="exec sleep 600")
    with pytest.raises(Failure, match="did not end within 1 s"):
        migrate(a_release(app, migrate=Migrate("migrate", limit_s=1, without_backup=True)))
    assert changing(quiet)[1:] == [
        "docker stop -t 20 gpuhost-app-migrate",
        "docker rm -f gpuhost-app-migrate",
    ]


def test_an_interrupted_migration_is_waited_for_before_it_runs_again(
    app: App, quiet: Programs
) -> None:
    quiet.answer("docker container inspect *", "app\n")
    migrate(a_release(app))
    assert changing(quiet) == [
        "docker wait gpuhost-app-migrate",
        "docker rm -f gpuhost-app-migrate",
        RUN,
    ]


@pytest.mark.parametrize("project", ["other", ""])
def test_a_container_of_another_app_with_that_name_is_left_alone(
    app: App, quiet: Programs, project: str
) -> None:
    quiet.answer("docker container inspect *", f"{project}\n")
    release = a_release(app)
    with pytest.raises(Failure, match=r"gpuhost-app-migrate, the name .* is not of this app"):
        migrate(release)
    stop(release)
    assert changing(quiet) == []


@pytest.mark.parametrize(
    ("exists", "declared", "done"),
    [
        (
            True,
            Migrate("migrate"),
            ["docker stop -t 20 gpuhost-app-migrate", "docker rm -f gpuhost-app-migrate"],
        ),
        (False, Migrate("migrate"), []),
        (True, None, []),
    ],
)
def test_a_migration_container_of_an_interrupted_release_is_removed(
    app: App, quiet: Programs, exists: bool, declared: Migrate | None, done: list[str]
) -> None:
    quiet.answer("docker container inspect *", "app\n" * exists, status=int(not exists))
    release = a_release(app, migrate=declared)
    stop(release)
    assert changing(quiet) == done
    assert release.paths.log.exists() == bool(done)


def test_no_migration_without_a_declared_backup(app: App, quiet: Programs) -> None:
    with pytest.raises(Failure, match="a migration needs a backup, and none is declared"):
        migrate(a_release(app, migrate=Migrate("migrate", limit_s=60)))
    assert quiet.calls == []


def test_no_migration_without_the_backup_that_was_taken(app: App, quiet: Programs) -> None:
    app.data("data/file")
    release = a_release(app, migrate=Migrate("migrate", limit_s=60), backup=Backup(paths=("data",)))
    with pytest.raises(Failure, match="app has no backup ''"):
        migrate(release)
    backup.before_migration(release)
    migrate(release)
    assert changing(quiet) == [RUN]


def test_no_migration_with_a_damaged_backup(app: App, quiet: Programs) -> None:
    app.data("data/file")
    release = a_release(app, migrate=Migrate("migrate", limit_s=60), backup=Backup(paths=("data",)))
    backup.before_migration(release)
    next(app.paths.backups.glob("*/*.tar.gz")).write_text("damaged")
    with pytest.raises(Failure, match="damaged or missing"):
        migrate(release)
    assert changing(quiet) == []


def test_with_nothing_to_back_up_the_migration_runs(app: App, quiet: Programs) -> None:
    release = a_release(app, migrate=Migrate("migrate", limit_s=60), backup=Backup(paths=("data",)))
    backup.before_migration(release)
    migrate(release)
    assert changing(quiet) == [RUN]
