"""A first release that fails, on a host where somebody had started the app by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.contract import Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages import transaction
from gpuhost.runner.stages.first_release import Left, note_existing, undo
from gpuhost.runner.state.release import Release
from tests.runner.at_hand import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

TAKING = ("docker stop", "docker rm", "docker compose up", "docker compose down")
DOWN = "docker compose down --remove-orphans"


def one(name: str, image: str, *, status: str = "running", run: bool = False) -> dict[str, Any]:
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


BY_HAND = one("web", "tts:latest"), one("db", "postgres:15")
OURS = one("web", "gpuhost/app/web:0123456789ab"), one("db", "gpuhost/app/db:0123456789ab")
MIGRATION = one("gpuhost-app-migrate", "gpuhost/app/migrate:0123456789ab", run=True)
GONE = "web: image tts:latest (sha256:0123456789ab), of the project in /srv/tts"


def there(programs: Programs, *found: dict[str, Any]) -> None:
    ids = "".join(f"{each['Id']}\n" for each in found)
    programs.answer("docker ps *", ids)
    programs.answer("docker inspect *", json.dumps(found))


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
        # Nothing but its own: all of it goes, networks too.
        ((), (), [DOWN], Left((), ())),
        ((), (*OURS, MIGRATION), [DOWN], Left((), ())),
        # Only the migration had begun.
        (BY_HAND, BY_HAND, [], Left((), ("db", "web"))),
        (
            BY_HAND,
            (*BY_HAND, MIGRATION),
            ["docker stop gpuhost-app-migrate", "docker rm -f gpuhost-app-migrate"],
            Left((), ("db", "web")),
        ),
        # One had taken its place, the other is as it was.
        (
            BY_HAND,
            (OURS[0], BY_HAND[1]),
            ["docker stop web", "docker rm -f web"],
            Left((GONE,), ("db",)),
        ),
        (BY_HAND[:1], OURS, [DOWN], Left((GONE,), ())),
        # Compose had stopped it, and come no further.
        (
            BY_HAND[:1],
            (one("web", "tts:latest", status="exited"),),
            ["docker start web-of-tts:latest"],
            Left((), ("web",)),
        ),
        # It did not run before either.
        (
            (one("web", "tts:latest", status="exited"),),
            (one("web", "tts:latest", status="exited"),),
            [],
            Left((), ("web",)),
        ),
    ],
)
def test_what_it_made_goes_and_what_a_person_started_stays(
    first: Release,
    programs: Programs,
    before: tuple[dict[str, Any], ...],
    after: tuple[dict[str, Any], ...],
    done: list[str],
    left: Left,
) -> None:
    there(programs, *before)
    note_existing(first)
    there(programs, *after)
    assert undo(Release.open(first.app, NEW)) == left
    assert changes(programs) == done


def test_what_was_there_is_noted_once(first: Release, programs: Programs) -> None:
    there(programs, *BY_HAND)
    note_existing(first)
    there(programs, *OURS)
    note_existing(Release.open(first.app, NEW))
    noted = Release.open(first.app, NEW).record.by_hand
    assert noted is not None
    assert [each.name for each in noted.values()] == ["db", "web"]


def test_where_a_release_ran_before_nobody_looks(app: App, programs: Programs) -> None:
    app.release(OLD, is_current=True)
    note_existing(app.release())
    assert programs.calls == []


@pytest.mark.parametrize("silent", ("docker ps *", "docker inspect *"))
def test_an_engine_that_does_not_say_what_there_is_ends_it_before_anything_is_taken_away(
    first: Release, programs: Programs, silent: str
) -> None:
    there(programs, *BY_HAND)
    programs.answer(silent, status=1, err="Cannot connect to the Docker daemon\n")
    for way in (note_existing, undo):
        with pytest.raises(Failure):
            way(first)
    assert changes(programs) == []


@pytest.fixture
def ends_in_migration(app: App, programs: Programs) -> Result:
    """A first release over what somebody had started, whose migration fails."""
    programs.compose({"web": {}, "migrate": {}})
    there(programs, *BY_HAND)
    programs.answer("docker image inspect *", json.dumps([{"Id": f"sha256:{'a' * 64}"}]))
    programs.answer("docker info *", '"/" []')
    programs.answer("docker container inspect *", status=1)
    programs.answer("docker compose * run *", status=1, err="relation already exists\n")
    release = app.release(adopt=True, migrate=Migrate("migrate", without_backup=True))
    return transaction.run_transaction(release)


def test_a_migration_that_fails_costs_what_was_started_by_hand_no_request(
    ends_in_migration: Result, programs: Programs
) -> None:
    assert (ends_in_migration.state, ends_in_migration.stage) == ("undone", "migrate")
    assert ends_in_migration.untouched == ("db", "web")
    assert ends_in_migration.replaced == ()
    taking = [line for line in programs.calls if line.startswith(TAKING)]
    assert not [line for line in taking if not line.endswith("gpuhost-app-migrate")]
