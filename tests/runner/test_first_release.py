"""A failed first release, on a host where the app was already started by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.contract import Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages import transaction
from gpuhost.runner.stages.first_release import Existing, note_existing, undo
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

DISRUPTIVE = ("docker stop", "docker rm", "docker compose up", "docker compose down")
DOWN = "docker compose down --remove-orphans"


def container(
    name: str, image: str, *, status: str = "running", run: bool = False
) -> dict[str, Any]:
    labels = {
        "com.docker.compose.service": name,
        "com.docker.compose.project.working_dir": "/srv/tts",
        "com.docker.compose.oneoff": str(run),
    }
    return {
        "Id": f"{name} of {image}".replace(" ", "-"),
        "Name": f"/{name}",
        "Image": "sha256:0123456789abcdef",
        "State": {"Status": status, "ExitCode": 0},
        "HostConfig": {},
        "Config": {"Image": image, "Labels": labels},
    }


BY_HAND = container("web", "tts:latest"), container("db", "postgres:15")
OURS = (
    container("web", "gpuhost/app/web:0123456789ab"),
    container("db", "gpuhost/app/db:0123456789ab"),
)
MIGRATION = container("gpuhost-app-migrate", "gpuhost/app/migrate:0123456789ab", run=True)
GONE = "web: image tts:latest (sha256:0123456789ab), of the project in /srv/tts"


def set_containers(programs: Programs, *containers: dict[str, Any]) -> None:
    ids = "".join(f"{each['Id']}\n" for each in containers)
    programs.answer("docker ps *", ids)
    programs.answer("docker inspect *", json.dumps(containers))


@pytest.fixture
def first(app: App, programs: Programs) -> Release:
    app.paths.shared.mkdir()
    return app.release(adopt=True)


def changes(programs: Programs) -> list[str]:
    asking = ("docker ps", "docker inspect")
    return [line for line in programs.calls if not line.startswith(asking)]


@pytest.mark.parametrize(
    ("before", "after", "done", "left"),
    [
        # Only its own containers: all are removed, and networks too.
        ((), (), [DOWN], Existing((), ())),
        ((), (*OURS, MIGRATION), [DOWN], Existing((), ())),
        # Only the migration had started.
        (BY_HAND, BY_HAND, [], Existing((), ("db", "web"))),
        (
            BY_HAND,
            (*BY_HAND, MIGRATION),
            ["docker stop gpuhost-app-migrate", "docker rm -f gpuhost-app-migrate"],
            Existing((), ("db", "web")),
        ),
        # It had replaced one; the other is unchanged.
        (
            BY_HAND,
            (OURS[0], BY_HAND[1]),
            ["docker stop web", "docker rm -f web"],
            Existing((GONE,), ("db",)),
        ),
        (BY_HAND[:1], OURS, [DOWN], Existing((GONE,), ())),
        # Compose had stopped it, and was interrupted.
        (
            BY_HAND[:1],
            (container("web", "tts:latest", status="exited"),),
            ["docker start web-of-tts:latest"],
            Existing((), ("web",)),
        ),
        # It did not run before.
        (
            (container("web", "tts:latest", status="exited"),),
            (container("web", "tts:latest", status="exited"),),
            [],
            Existing((), ("web",)),
        ),
    ],
)
def test_its_containers_are_removed_and_manually_started_ones_stay(
    first: Release,
    programs: Programs,
    before: tuple[dict[str, Any], ...],
    after: tuple[dict[str, Any], ...],
    done: list[str],
    left: Existing,
) -> None:
    set_containers(programs, *before)
    note_existing(first)
    set_containers(programs, *after)
    assert undo(Release.open(first.app, NEW)) == left
    assert changes(programs) == done


def test_existing_containers_are_recorded_once(first: Release, programs: Programs) -> None:
    set_containers(programs, *BY_HAND)
    note_existing(first)
    set_containers(programs, *OURS)
    note_existing(Release.open(first.app, NEW))
    noted = Release.open(first.app, NEW).record.by_hand
    assert noted is not None
    assert [each.name for each in noted.values()] == ["db", "web"]


def test_with_a_previous_release_existing_containers_are_not_read(
    app: App, programs: Programs
) -> None:
    app.release(OLD, is_current=True)
    note_existing(app.release())
    assert programs.calls == []


@pytest.mark.parametrize("failing", ("docker ps *", "docker inspect *"))
def test_if_docker_does_not_list_containers_nothing_is_removed(
    first: Release, programs: Programs, failing: str
) -> None:
    set_containers(programs, *BY_HAND)
    programs.answer(failing, status=1, err="Cannot connect to the Docker daemon\n")
    for action in (note_existing, undo):
        with pytest.raises(Failure):
            action(first)
    assert changes(programs) == []


@pytest.fixture
def ends_in_migration(app: App, programs: Programs) -> Result:
    """A first release with a failing migration, on a host with manually started containers."""
    programs.compose({"web": {}, "migrate": {}})
    set_containers(programs, *BY_HAND)
    programs.answer("docker image inspect *", json.dumps([{"Id": f"sha256:{'a' * 64}"}]))
    programs.answer("docker info *", '"/" []')
    programs.answer("docker container inspect *", status=1)
    programs.answer("docker compose * run *", status=1, err="relation already exists\n")
    release = app.release(adopt=True, migrate=Migrate("migrate", without_backup=True))
    return transaction.run_transaction(release)


def test_a_failed_migration_does_not_interrupt_manually_started_containers(
    ends_in_migration: Result, programs: Programs
) -> None:
    assert (ends_in_migration.state, ends_in_migration.stage) == ("undone", "migrate")
    assert ends_in_migration.untouched == ("db", "web")
    assert ends_in_migration.replaced == ()
    disruptive = [line for line in programs.calls if line.startswith(DISRUPTIVE)]
    assert not [line for line in disruptive if not line.endswith("gpuhost-app-migrate")]
