"""An app that exchanges its files for links, pipes and directories while the runner works.

Whatever the runner then does or refuses, nothing outside the app's data changes or is read into it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gpuhost.runner.data import directories, secrets, seed
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, write_json
from gpuhost.runner.plan import Directory, Nginx, Secret
from gpuhost.runner.resolved import temporary_files as module
from gpuhost.runner.resolved.temporary_files import temporary_files
from gpuhost.runner.site import container_nginx
from gpuhost.runner.stages import activation
from gpuhost.runner.stages.restore import paths, restore
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, NEW, OLD, App, Programs, app, as_resolved, programs
from tests.runner.restore_fixtures import (
    DB,
    NOW,
    THEN,
    Activation,
    a_backup,
    activated,
    app_data,
    set_aside,
    state,
)

__all__ = ["activated", "app", "programs"]

ROUNDS = 40
SECRET = "of the host"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host, with every name that is attacked."""
    host = tmp_path / "of-the-host"
    for name in (
        "site.conf",
        "key",
        "app.db",
        "app.db-wal",
        "settings.json",
        "audio/file",
        "inner/key",
    ):
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).write_text(SECRET)
    before = tree(host)
    yield host
    assert tree(host) == before


def tree(top: Path) -> dict[str, tuple[int, int, str]]:
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_uid,
            path.read_text() if path.is_file() else "",
        )
        for path in top.rglob("*")
    }


# renameat2(2): exchange two names at once.
RENAME_EXCHANGE, AT_FDCWD = 2, -100
LIBC = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> bool:
    names = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other))
    return bool(LIBC.renameat2(*names, RENAME_EXCHANGE) == 0)


@contextmanager
def swapping(path: Path, *makers: Callable[[Path], object]) -> Iterator[None]:
    """Exchange a path for others and back, in a thread, as fast as it can."""
    others = [path.with_name(f"{path.name}-{number}") for number in range(len(makers))]
    for other, make in zip(others, makers, strict=True):
        make(other)
    is_ended, count, before = threading.Event(), 0, sys.getswitchinterval()

    def swap() -> None:
        nonlocal count
        while not is_ended.is_set():
            for other in others:
                if exchange(path, other):
                    count += 1
                    time.sleep(0)
                    exchange(path, other)

    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        is_ended.set()
        thread.join()
        sys.setswitchinterval(before)
    assert count > 0


def link_to(target: Path) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def mounting(app: App, *paths: str, **plan: object) -> Release:
    """A release with these directories of shared/ mounted into its container."""
    release = app.release(OLD, **plan)
    binds = [
        {"type": "bind", "source": str(app.paths.shared / path), "target": f"/{path}"}
        for path in paths
    ]
    as_resolved(release, {"web": {"volumes": binds}})
    return release


def tried(rounds: int, act: Callable[[], object]) -> int:
    """How often it was done; the other times it was refused."""
    done = 0
    for _ in range(rounds):
        with suppress(Failure, OSError):
            act()
            done += 1
    return done


def test_the_site_of_a_container(app: App, outside: Path) -> None:
    site = Nginx("container", "proxy", path="web/conf/site.conf")
    release = mounting(app, "web", nginx=site)
    release.paths.nginx.write_text("server {}\n")
    conf = app.data("web/conf/site.conf").parent
    with swapping(conf, link_to(outside)):
        tried(ROUNDS, lambda: container_nginx.place(release))
    with swapping(conf / "site.conf", link_to(outside / "key"), os.mkfifo, Path.mkdir):
        tried(ROUNDS, lambda: container_nginx.place(release))
    container_nginx.place(release)
    assert (conf / "site.conf").read_text() == "server {}\n"


def test_secret_files(app: App, outside: Path) -> None:
    release = mounting(
        app, "data", secrets=(Secret("KEY", path="data/inner/key"),), given={"KEY": "value"}
    )
    inner = app.data("data/inner/other").parent
    with swapping(inner, link_to(outside / "inner")):
        tried(ROUNDS, lambda: secrets.place_files(release))
    with swapping(inner / "other", link_to(outside / "key")):
        assert tried(ROUNDS, lambda: secrets.place_files(release)) == ROUNDS
    assert (inner / "key").read_text() == "value"


def test_owners_and_modes(app: App, outside: Path) -> None:
    declared = (Directory("data", ME, "0755"), Directory("data/inner/deep", ME, "0700"))
    release = mounting(app, "data", directories=declared)
    inner = app.data("data/inner/deep/file").parent.parent
    with swapping(inner, link_to(outside)):
        tried(ROUNDS, lambda: directories.make(release))
        tried(ROUNDS, lambda: directories.restore_owners(release))
    assert not (outside / "deep").exists()


def test_what_is_copied_from_the_source(app: App, outside: Path) -> None:
    """The source may be mounted too, from an earlier start."""
    release = mounting(app, "data")
    for name in ("one", "inner/key", "inner/two"):
        (release.source / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (release.source / "data" / name).write_text("of the source")

    def copy() -> None:
        shutil.rmtree(app.paths.shared / "data", ignore_errors=True)
        app.paths.copying.unlink(missing_ok=True)
        release.remember(copied={})
        seed.seed(release, "data")

    app.paths.shared.mkdir()
    with swapping(release.source / "data/inner", link_to(outside / "inner"), os.mkfifo):
        for _ in range(ROUNDS // 4):
            with suppress(Failure, OSError):
                copy()
            copied = [p for p in app.paths.shared.rglob("*") if p.is_file() and not p.is_symlink()]
            texts = {
                p.read_text() for p in copied if not (app.paths.shared / "data/inner").is_symlink()
            }
            assert SECRET not in texts


def test_what_is_placed_in_the_source(app: App, outside: Path) -> None:
    release = mounting(app, "data")
    conf = release.source / "conf"
    (conf / "inner").mkdir(parents=True)
    (conf / "inner/key").write_text("of the source")

    def place() -> None:
        with temporary_files(release, {"conf/inner/key": "SECRET", "conf/inner/new": "S"}, ()):
            pass

    with swapping(conf / "inner", link_to(outside / "inner")):
        tried(ROUNDS, place)
    place()
    assert not (outside / "inner/new").exists()


@pytest.mark.parametrize("moment", ["before it is placed", "before it is removed"])
def test_a_directory_of_the_source_that_becomes_a_link_after_it_was_checked(
    app: App, outside: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    release = mounting(app, "data")
    conf = release.source / "conf"
    conf.mkdir(parents=True)

    def swap() -> None:
        conf.rename(conf.with_name("kept"))
        conf.symlink_to(outside)

    def write(path: Path, value: Mapping[str, object]) -> None:
        write_json(path, value)
        swap()

    if moment == "before it is placed":
        monkeypatch.setattr(module, "write_json", write)
    with (
        pytest.raises(Failure, match="leads out"),
        temporary_files(release, {"conf/key": "SECRET", "conf/new": "SECRET"}, ()),
    ):
        swap()


def test_a_tree_deeper_than_any_recursion_is_deleted_with_its_release(app: App) -> None:
    release = mounting(app, "data")
    with open_directory(release, "data", make=True):
        pass
    deep = release.source
    deep.mkdir()
    number = os.open(deep, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=number)
        inner = os.open("d", os.O_RDONLY, dir_fd=number)
        os.close(number)
        number = inner
    os.close(number)
    clear(release.paths.home)
    assert not release.paths.home.exists()


def test_a_link_that_the_app_puts_in_the_way_of_a_restore_before_it_stops(
    app: App, programs: Programs, activated: Activation, outside: Path
) -> None:
    name = a_backup(app)
    as_resolved(Release.open(app.paths, NEW), bind_of(app.paths.shared))
    public = app.paths.shared / "public"
    attack = f"mv {public} {public}-kept && ln -s {outside} {public}"
    programs.answer("docker stop *", then=f"[ -L {public} ] || {{ {attack}; }}")
    ended = restore(app.paths, name, "ada")
    # Its exchange was not begun; the others are undone, and the app runs again.
    assert (ended.state, f"{public} is a link" in ended.said) == ("restored", True)
    assert ended.fix.startswith("replace the link by the directory")
    # What the app did to its own data stays.
    public.unlink()
    public.with_name("public-kept").rename(public)
    assert (state(app), set_aside(app), activated.seen) == (NOW, [], ["now"])
    programs.answer("docker stop *")
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN


def test_a_link_that_the_app_puts_in_the_way_of_the_undo(
    app: App, activated: Activation, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    as_resolved(Release.open(app.paths, NEW), bind_of(app.paths.shared))
    public = app.paths.shared / "public"

    def activate(release: Release) -> None:
        if app_data(app) == "then":
            public.rename(public.with_name("public-kept"))
            public.symlink_to(outside)
            raise Failure("web: exited with 1")

    monkeypatch.setattr(activation, "activate", activate)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, f"{public} is a link" in ended.restore_said) == ("restore-failed", True)
    # The others are undone.
    assert (app_data(app), (app.paths.shared / "settings.json").read_text()) == ("now", "now")
    logged = paths(app.paths, name).log.read_text()
    assert "replace the link by the directory" in logged
    # The advice.
    public.unlink()
    public.with_name("public-kept").rename(public)
    assert restore(app.paths, name, "ada").state == "restored"
    assert (state(app), set_aside(app)) == (NOW, [])


def bind_of(path: Path) -> dict[str, object]:
    return {"web": {"volumes": [{"type": "bind", "source": str(path), "target": "/data"}]}}


@pytest.mark.parametrize("attacked", ["public/audio", DB, f"{DB}-wal", "settings.json"])
def test_what_the_app_puts_in_place_of_its_data_is_set_aside_as_it_is(
    app: App, programs: Programs, activated: Activation, outside: Path, attacked: str
) -> None:
    name = a_backup(app)
    path = app.paths.shared / attacked
    programs.answer("docker stop *", then=f"rm -rf {path}; ln -s {outside / path.name} {path}")
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN
    kept = next(iter(app.paths.backups.glob(f"before-restore-*/*/{path.name}")))
    assert kept.readlink() == outside / path.name


def test_while_a_restore_is_staged(
    app: App, programs: Programs, activated: Activation, outside: Path
) -> None:
    name = a_backup(app)
    as_resolved(Release.open(app.paths, NEW), bind_of(app.paths.shared))
    ends = set()
    with swapping(app.paths.shared / "public", link_to(outside)):
        for _ in range(4):
            ends.add(restore(app.paths, name, "ada").state)
    assert ends <= {"verified", "failed", "restored", "restore-failed"}
    assert restore(app.paths, name, "ada").state in ("verified", "restored")
