"""A rollback: an earlier release is prepared to be activated again."""

from __future__ import annotations

import time

import pytest

from gpuhost.runner.contract import VERIFIED, Result
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages.rollback import prepare
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Owned, Record, Release
from tests.runner.host_fixtures import NEW, OLD, App, app

__all__ = ["app"]

BACK = "20260103-000000-cccccccc"


def verified(release: Release) -> Release:
    plan, ended_at = release.plan, time.time()
    ended = Result(
        plan.id, plan.app, "release", VERIFIED, plan.by, "r", plan.inputs, ended_at, ended_at
    )
    results.store(release.app, ended)
    return release


def test_a_rollback_has_the_images_of_the_release_and_nothing_else_of_its_record(app: App) -> None:
    old = verified(app.release(OLD))
    images = {"images": {"web": "sha256:1"}, "tags": {"web": "gpuhost/app/web:1"}}
    old.remember(**images, backup="b", gap_s=3.0, directories={"data": Owned(0, 0, 0o755)})
    verified(app.release(NEW, is_current=True))
    prepare(app.paths, BACK, OLD, "ada")
    back = Release.open(app.paths, BACK)
    assert (back.record, back.plan.rollback_of) == (Record(**images), OLD)


@pytest.mark.parametrize("file", ["compose.yaml", "record.json"])
def test_a_target_that_lacks_a_file_is_refused(app: App, file: str) -> None:
    """Without its record, its images would not be pinned."""
    old = verified(app.release(OLD))
    old.remember(images={"web": "sha256:1"})
    (old.paths.home / "compose.yaml").touch()
    (old.paths.home / file).unlink()
    with pytest.raises(BadPlan, match=f"{file} is missing; release the app again"):
        prepare(app.paths, BACK, OLD, "ada")
    assert not app.paths.release(BACK).home.exists()


def test_a_damaged_record_is_refused(app: App) -> None:
    old = verified(app.release(OLD))
    verified(app.release(NEW, is_current=True))
    old.paths.record.write_text("{")
    with pytest.raises(BadPlan, match=r"record\.json is damaged"):
        prepare(app.paths, BACK, OLD, "ada")
    assert not app.paths.release(BACK).home.exists()
