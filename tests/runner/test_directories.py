"""Directories exist with owner and mode; their content is unchanged, links are not trusted."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.data.directories import Owner, check, make, owner, restore_owners
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Directory
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, NEW, App, app

__all__ = ["app"]

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a directory")


def state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1001:1002", Owner(1001, 1002)),
        ("root:root", Owner(0, 0)),
        ("0", Owner(0, 0)),
        ("www-data", Owner(pwd.getpwnam("www-data").pw_uid, pwd.getpwnam("www-data").pw_gid)),
        ("1001:www-data", Owner(1001, grp.getgrnam("www-data").gr_gid)),
        ("54321", Owner(54321, 54321)),
    ],
)
def test_owners_are_numbers_or_names(text: str, expected: Owner) -> None:
    assert owner(text) == expected


@root
def test_directories_are_created_as_declared_with_any_umask(app: App) -> None:
    before = os.umask(0o077)
    try:
        make(
            app.release(
                directories=(
                    Directory("public/audio", "1001:1002", "2770"),
                    Directory("public", "1003:1003", "0711"),
                )
            )
        )
    finally:
        os.umask(before)
    shared = app.paths.shared
    assert state(shared / "public") == (1003, 1003, 0o711)
    assert state(shared / "public/audio") == (1001, 1002, 0o2770)


@root
def test_an_existing_directory_gets_its_owner_and_its_content_is_unchanged(app: App) -> None:
    file = app.data("data/inner/file", "kept")
    os.chown(file, 33, 33)
    make(app.release(directories=(Directory("data", "1001:1001", "0750"),)))
    assert state(app.paths.shared / "data") == (1001, 1001, 0o750)
    assert state(file.parent)[:2] == (0, 0)
    assert (file.read_text(), state(file)[:2]) == ("kept", (33, 33))


def test_a_directory_outside_of_the_app(app: App, tmp_path: Path) -> None:
    make(app.release(directories=(Directory(str(tmp_path / "srv/data"), ME, "0700"),)))
    assert stat.S_IMODE((tmp_path / "srv/data").stat().st_mode) == 0o700


def test_a_link_in_shared_is_followed(app: App, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    app.paths.shared.mkdir(mode=0o755)
    (app.paths.shared / "models").symlink_to(tmp_path / "disk")
    make(app.release(directories=(Directory("models", ME, "0700"),)))
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700


@pytest.mark.parametrize("open_to_others", (False, True))
def test_a_link_where_the_app_can_write_is_refused(
    app: App, tmp_path: Path, open_to_others: bool
) -> None:
    (tmp_path / "etc").mkdir(mode=0o755)
    app.data("data/file")
    (app.paths.shared / "data/up").symlink_to(tmp_path / "etc")
    declared = [Directory("data/up", ME, "0777")]
    if open_to_others:
        (app.paths.shared / "data").chmod(0o777)
    else:
        declared.append(Directory("data", ME))
    with pytest.raises(Failure, match=r"data/up is a link .* not followed"):
        make(app.release(directories=tuple(declared)))
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o755


@pytest.mark.parametrize("action", (check, make))
def test_a_file_in_place_of_a_directory_fails(app: App, action: Callable[[Release], None]) -> None:
    app.data("data", "a file")
    with pytest.raises(Failure, match="directories: data is not a directory"):
        action(app.release(directories=(Directory("data", ME),)))
    assert (app.paths.shared / "data").read_text() == "a file"


def test_the_check_creates_nothing(app: App) -> None:
    app.paths.shared.mkdir()
    check(app.release(directories=(Directory("data/inner", ME),)))
    assert list(app.paths.shared.iterdir()) == []


@root
def test_owners_and_modes_are_restored_after_a_failed_release(app: App) -> None:
    """Also if the release started more than once, and for directories that it created."""
    data, same = app.data("data/file").parent, app.data("same/file").parent
    os.chown(data, 33, 34)
    data.chmod(0o2775)
    os.chown(same, 1001, 1001)
    same.chmod(0o755)
    declared = ("data", "same", "new")
    directories = tuple(Directory(name, "1001:1001", "0755") for name in declared)
    make(app.release(directories=directories))
    make(Release.open(app.paths, NEW))
    assert {state(app.paths.shared / name) for name in declared} == {(1001, 1001, 0o755)}
    restore_owners(Release.open(app.paths, NEW))
    assert (state(data), state(same)) == ((33, 34, 0o2775), (1001, 1001, 0o755))
    (app.paths.shared / "new").rmdir()
    with pytest.raises(Failure, match=r"directories: new: .*No such file"):
        restore_owners(Release.open(app.paths, NEW))
