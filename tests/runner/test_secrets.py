"""Secrets on the host: generated once, composed of others, named if missing, never shown."""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from pathlib import Path

import pytest

from gpuhost.runner.data import secrets
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import BadPlan, Directory, Secret
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, OLD, App, app

__all__ = ["app"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_generated_once_and_kept(app: App) -> None:
    declared = (Secret("JWT", generate="hex", bytes=16), Secret("KEY", generate="base64"))
    first = app.release(OLD, secrets=declared)
    secrets.generate(first)
    values = secrets.values(first)
    assert len(bytes.fromhex(values["JWT"])) == 16
    assert len(base64.b64decode(values["KEY"])) == 32
    assert mode(app.paths.generated) == 0o600

    second = app.release(secrets=(*declared, Secret("NEW", generate="hex")))
    secrets.generate(second)
    assert {**secrets.values(second), "NEW": ""} == {**values, "NEW": ""}
    assert len(secrets.values(second)["NEW"]) == 64


def test_two_generated_secrets_differ(app: App) -> None:
    release = app.release(secrets=(Secret("A", generate="hex"), Secret("B", generate="hex")))
    secrets.generate(release)
    assert len(set(secrets.values(release).values())) == 2


def test_a_damaged_file_of_generated_secrets_is_not_overwritten(app: App) -> None:
    release = app.release(secrets=(Secret("JWT", generate="hex"),))
    secrets.generate(release)
    damaged = app.paths.generated.read_text()[:20]
    app.paths.generated.write_text(damaged)
    with pytest.raises(BadPlan, match=r"generated\.json is damaged.*repair its JSON"):
        secrets.generate(release)
    assert app.paths.generated.read_text() == damaged


def test_a_lost_generated_secret_fails(app: App) -> None:
    release = app.release(secrets=(Secret("JWT", generate="hex"),))
    with pytest.raises(Failure, match="generated on this host are missing: JWT"):
        secrets.values(release)


def test_an_unknown_generator_is_refused(app: App) -> None:
    release = app.release(secrets=(Secret("A", generate="dice"),))
    with pytest.raises(Failure, match="A: this runner cannot generate 'dice'"):
        secrets.generate(release)


def test_all_missing_secrets_are_named(app: App) -> None:
    declared = (
        Secret("KEY"),
        Secret("PASSWORD"),
        Secret("THERE"),
        Secret("URL", value="redis://:${NOWHERE}@redis"),
    )
    release = app.release(secrets=declared, given={"THERE": "x"})
    with pytest.raises(Failure) as raised:
        secrets.require(release)
    assert raised.value.said == "secrets are missing: KEY, PASSWORD, NOWHERE (in URL)"


def test_a_composed_value_has_the_others_unchanged(app: App) -> None:
    odd = "a${B}$B $$ é\\1"
    declared = (
        Secret("A"),
        Secret("B", generate="hex"),
        Secret("URL", value="x://${A}:${B}@h/$A$$"),
        Secret("MORE", value="<${URL}>"),
    )
    release = app.release(secrets=declared, given={"A": odd})
    secrets.generate(release)
    values = secrets.values(release)
    assert values["URL"] == f"x://{odd}:{values['B']}@h/$A$$"
    assert values["MORE"] == f"<{values['URL']}>"


def test_values_that_refer_to_each_other_are_refused(app: App) -> None:
    release = app.release(secrets=(Secret("A", value="${B}"), Secret("B", value="${A}")))
    with pytest.raises(Failure, match="contain each other: A -> B -> A"):
        secrets.values(release)


def test_a_nul_is_refused_without_showing_the_value(app: App) -> None:
    release = app.release(secrets=(Secret("A"),), given={"A": "hidden\0value"})
    with pytest.raises(Failure) as raised:
        secrets.values(release)
    assert "A contains a NUL" in raised.value.said
    assert "hidden" not in raised.value.said


def test_no_secret_is_logged(app: App) -> None:
    declared = (Secret("A"), Secret("B", generate="hex"), Secret("C", value="both ${A} and ${B}"))
    release = app.release(secrets=declared, given={"A": "given-value"})
    secrets.generate(release)
    for value in secrets.values(release).values():
        release.log.write(f"here it is: {value}!")
    logged = release.paths.log.read_text()
    assert logged.count("here it is: ***!") == 3
    assert not any(value in logged for value in secrets.values(release).values())


def a_file(app: App, value: str, release_id: str = OLD, path: str = "certs/key.pem") -> Release:
    return app.release(release_id, secrets=(Secret("KEY", path=path),), given={"KEY": value})


def test_a_secret_file_is_private_and_has_the_owner_of_its_directory(app: App) -> None:
    release = a_file(app, "-----BEGIN\nKEY-----\n")
    (app.paths.shared / "certs").mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(app.paths.shared / "certs", 1001, 1002)
    secrets.place_files(release)
    file = app.paths.shared / "certs/key.pem"
    status, directory = file.stat(), file.parent.stat()
    assert file.read_text() == "-----BEGIN\nKEY-----\n"
    assert (mode(file), status.st_uid, status.st_gid) == (0o600, directory.st_uid, directory.st_gid)


def test_the_mtime_of_a_secret_file_changes_only_with_its_value(app: App) -> None:
    app.paths.shared.mkdir()
    first = secrets.place_files(a_file(app, "one"))
    assert secrets.place_files(a_file(app, "one", "20260102-000000-b")) == first
    assert secrets.place_files(a_file(app, "two", "20260103-000000-c")) != first
    assert (app.paths.shared / "certs/key.pem").read_text() == "two"


def test_a_restored_release_has_the_old_mtime_of_its_secret_file(app: App) -> None:
    """Otherwise its containers would be recreated, although they are still running."""
    app.paths.shared.mkdir()
    first = secrets.place_files(a_file(app, "one"))
    time.sleep(0.01)
    assert secrets.place_files(a_file(app, "two", "20260102-000000-b")) != first
    assert secrets.place_files(Release.open(app.paths, OLD)) == first
    assert (app.paths.shared / "certs/key.pem").read_text() == "one"


@pytest.mark.parametrize("name", ["key.pem", ".key.pem.new"])
def test_a_directory_in_the_place_of_a_secret_file_is_named(app: App, name: str) -> None:
    inner = app.data(f"certs/{name}/x")
    release = a_file(app, "one")
    with pytest.raises(Failure, match="a directory is in its place: move it elsewhere") as failed:
        secrets.place_files(release)
    assert str(inner.parent) in failed.value.said
    inner.parent.rename(app.paths.home / "moved")
    inner.parent.mkdir()
    secrets.place_files(release)
    assert (app.paths.shared / "certs/key.pem").read_text() == "one"


def test_the_mode_of_a_readable_secret_file_is_repaired(app: App) -> None:
    app.paths.shared.mkdir()
    release = a_file(app, "one")
    secrets.place_files(release)
    file = app.paths.shared / "certs/key.pem"
    file.chmod(0o644)
    secrets.place_files(release)
    assert mode(file) == 0o600


def test_a_link_in_place_of_a_secret_file_is_replaced_and_its_target_unchanged(
    app: App, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("one")
    (app.paths.shared / "certs").mkdir(parents=True)
    (app.paths.shared / "certs/key.pem").symlink_to(elsewhere)
    secrets.place_files(a_file(app, "one"))
    assert not (app.paths.shared / "certs/key.pem").is_symlink()
    assert (elsewhere.read_text(), mode(elsewhere)) == ("one", 0o644)


def test_a_link_that_a_container_could_have_made_is_not_followed(app: App, tmp_path: Path) -> None:
    app.data("data/keep")
    (tmp_path / "etc").mkdir()
    (app.paths.shared / "data/certs").symlink_to(tmp_path / "etc")
    release = app.release(
        secrets=(Secret("KEY", path="data/certs/key.pem"),),
        directories=(Directory("data", owner=ME),),
        given={"KEY": "value"},
    )
    with pytest.raises(Failure, match=r"data/certs is a link .* not followed"):
        secrets.place_files(release)
    assert list((tmp_path / "etc").iterdir()) == []


def test_given_secrets_are_not_copied(app: App) -> None:
    release = app.release(secrets=(Secret("A"),), given={"A": "value"})
    secrets.generate(release)
    assert not app.paths.generated.exists()
    assert json.loads(release.paths.given.read_text()) == {"A": "value"}
