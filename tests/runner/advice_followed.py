"""What a person does who follows an advice, and what is asserted then."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.checks.deployed.directories import _chown
from gpuhost.runner.contract import REMOVE, RESTORE
from gpuhost.runner.data import backup, directories, retention, safe_paths, secrets, stored
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import load_json, write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan, Directory, Secret, load
from gpuhost.runner.resolved import temporary_files
from gpuhost.runner.site import container_nginx
from gpuhost.runner.stages import removal as removal_stage
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.state.lock import lock
from gpuhost.runner.state.release import Release
from gpuhost.snapshot.apps_details import DirectoryState
from tests.runner.host_fixtures import NEW
from tests.runner.restore_fixtures import DB
from tests.runner.unfinished_host import (
    BAD,
    HALF,
    NEWEST,
    Host,
    broken,
    interrupted,
    interrupted_release,
    release_it,
    removal,
    restore_again,
    restore_one,
    roll_back,
    unreadable,
)

OLDER = "20251201-000000-aaaaaaaa"


def shell(command: str, **more: str) -> None:
    environment = {**os.environ, **more}
    subprocess.run(["sh", "-ec", command], check=True, env=environment, stdin=subprocess.DEVNULL)


def failing(function: Callable[[], object]) -> str:
    """The advice of its failure."""
    with pytest.raises(Failure) as raised:
        function()
    return raised.value.fix


def command_in(advice: str, start: str) -> str:
    """A command is at the end of an advice."""
    return advice[advice.index(start) :]


def release_again(host: Host) -> None:
    host.write("later")
    release_it(host)


def go_back_and_restore(host: Host) -> None:
    host.write("later")
    roll_back(host)
    restore_one(host)


def restore_broken_again(host: Host) -> None:
    broken(host)
    restore_again(host)


def restore_unreadable_or_broken(host: Host) -> None:
    unreadable(host)
    restore_one(host)
    restore_broken_again(host)


def release_after_an_interruption(host: Host) -> None:
    interrupted_release(host)
    release_it(host)
    assert host.released == [HALF, NEWEST]


def release_after_a_removal(host: Host) -> None:
    removal(host)
    assert host.verb(REMOVE) == Exit.GOOD
    release_it(host)


def remove_again_after_an_abort(host: Host) -> None:
    interrupted(host)

    def activate(release: Release) -> None:
        assert host.run("abort", "--by", "bob") == Exit.GOOD
        abort.check()

    with host.monkeypatch.context() as patched:
        patched.setattr("gpuhost.runner.stages.activation.activate", activate)
        assert host.verb(REMOVE) == Exit.FAILED
    assert host.verb(REMOVE) == Exit.GOOD
    assert not host.app.paths.releases.exists()


def release_then_restore(host: Host) -> None:
    host.app.paths.current.unlink()
    for path in host.app.paths.releases.glob("*/result.json"):
        path.unlink()
    assert host.verb(RESTORE) == Exit.FAILED
    told = load_json(host.app.paths.backups / host.backup / "result.json")["fix"]
    assert told == "release it first, then restore"
    home = host.app.paths.release(NEWEST).home
    shutil.rmtree(home)
    host.app.release(NEWEST, is_current=True)
    restore_one(host)


def release_then_back_up(host: Host) -> None:
    paths = host.app.paths
    verified, result = paths.current.readlink(), paths.release(NEW).result
    paths.current.unlink()
    kept = result.rename(result.with_name("kept"))
    assert host.run("backup") == Exit.FAILED
    release_it(host)
    kept.rename(result)
    paths.current.symlink_to(verified)
    assert host.run("backup") == Exit.GOOD


def restore_over_a_damaged_database(host: Host) -> None:
    path = host.app.paths.shared / DB
    shutil.move(path, path.with_name("copy"))
    path.write_bytes(b"SQLite format 3\0 and nothing more")
    damaged = path.read_bytes()
    restore_one(host)
    (kept,) = host.app.paths.backups.glob("before-restore-*/*/app.db")
    assert kept.read_bytes() == damaged
    shutil.move(path.with_name("copy"), kept)


def delete_previous_data(host: Host) -> None:
    restore_one(host)
    host.write("later")
    for path in host.app.paths.backups.glob("before-restore-*"):
        shutil.rmtree(path)
    _goes_on(host)


def delete_restored_data(host: Host) -> None:
    host.activated.wrong = [BAD]
    assert host.verb(RESTORE) == Exit.FAILED
    host.write("later")
    for path in host.app.paths.backups.glob("undone-restore-*"):
        shutil.rmtree(path)
    _goes_on(host)


def delete_what_a_restore_kept(host: Host) -> None:
    delete_restored_data(host)
    delete_previous_data(host)


def _goes_on(host: Host) -> None:
    assert "later" in host.words
    release_it(host)
    assert host.verb(RESTORE) == Exit.GOOD
    assert "later" in host.words


def delete_a_release_that_cannot_be_read(host: Host) -> None:
    paths = host.app.paths
    host.app.release(OLDER)
    record = paths.release(OLDER).record
    record.write_text("{")
    _make_backups(host, 3)
    told = host.app.paths.backups / "log"
    retention.prune(paths, 1, Log(told))
    assert len(stored.complete(paths)) == 4
    advice = told.read_text().splitlines()[-1]
    shell(command_in(advice, "rm -r"))
    retention.prune(paths, 1, Log(told))
    assert len(stored.complete(paths)) == 1
    assert paths.release(NEW).home.is_dir()
    # Of the current release, another one comes first.
    paths.release(NEW).record.write_text("{")
    retention.prune(paths, 1, Log(told))
    assert "release the app again; then, if" in told.read_text().splitlines()[-1]


def delete_a_release_whose_mounts_are_lost(host: Host) -> None:
    older = host.app.release(OLDER)
    older.paths.resolved.write_text("{")
    older.paths.journal.write_text('{"event": "begin", "stage": "up", "at": 1.0}\n')
    models = host.app.paths.home.parent / "models-of-the-host"
    models.mkdir()
    (host.app.paths.shared / "models").symlink_to(models)
    release = Release.open(host.app.paths, NEW)
    advice = failing(lambda: safe_paths.open_directory(release, "models").__enter__())
    shell(command_in(advice, "rm -r"))
    with safe_paths.open_directory(release, "models") as opened:
        assert opened.state().st_ino == models.stat().st_ino
    assert release.paths.home.is_dir()


def _make_backups(host: Host, number: int) -> None:
    release = Release.open(host.app.paths, NEW)
    for _ in range(number):
        backup.backup(release, "schedule")


def keep_fewer_backups(host: Host) -> None:
    _make_backups(host, 2)
    paths = host.app.paths.release(NEW)
    plan = load(paths.plan)
    assert plan.backup
    paths.plan.write_text(replace(plan, backup=replace(plan.backup, keep=1)).text())
    made = backup.backup(Release.open(host.app.paths, NEW), "schedule")
    assert [each.name for each in stored.complete(host.app.paths)] == [made]


def delete_what_a_removal_kept(host: Host) -> None:
    paths = host.app.paths
    write_json(paths.generated, {"KEY": "k"})
    for name in ("restore.damaged", "restore.unread"):
        (paths.home / name).mkdir()
    said = removal_stage.remove(paths, "ada")
    for line in said:
        if "rm -r " in line:
            place = Path(command_in(line, "rm -r ").removeprefix("rm -r "))
            before = {path for path in paths.home.iterdir() if path != place}
            shell(command_in(line, "rm -r "))
            assert set(paths.home.iterdir()) == before
    assert {path.name for path in paths.home.iterdir()} <= {"history.jsonl", "lock", "remove.log"}


def put_generated_secrets_back(host: Host) -> None:
    release = host.app.release(HALF, secrets=(Secret("KEY", generate="hex"),))
    secrets.draw(release)
    secrets.generate(release)
    kept, generated = secrets.values(release), host.app.paths.generated
    copy = generated.with_name("copy")
    shutil.move(generated, copy)
    lost = Release.open(host.app.paths, HALF)
    assert "back from a copy" in failing(lambda: secrets.values(lost))
    shutil.move(copy, generated)
    assert secrets.values(Release.open(host.app.paths, HALF)) == kept
    # The other way: a release draws new ones.
    generated.unlink()
    again = host.app.release(NEWEST, secrets=(Secret("KEY", generate="hex"),))
    secrets.draw(again)
    secrets.generate(again)
    assert secrets.values(again)["KEY"] not in ("", kept["KEY"])


def repair_generated_secrets(host: Host) -> None:
    release = host.app.release(HALF, secrets=(Secret("KEY", generate="hex"),))
    host.app.paths.generated.write_text('{"KEY": "k"')
    with pytest.raises(BadPlan, match="repair its JSON"):
        secrets.draw(release)
    assert host.app.paths.generated.read_text() == '{"KEY": "k"'
    host.app.paths.generated.write_text('{"KEY": "k"}')
    repaired = Release.open(host.app.paths, HALF)
    assert secrets.values(repaired) == {"KEY": "k"}


def move_a_file_away(host: Host) -> None:
    release = host.app.release(HALF, directories=(Directory("models", _me()),))
    there = host.app.data("models", "a file")
    failing(lambda: directories.make(release))
    shutil.move(there, there.with_name("models.before"))
    directories.make(release)
    assert there.is_dir()
    assert there.with_name("models.before").read_text() == "a file"


def _me() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def move_aside_what_is_no_file(host: Host) -> None:
    """What was moved aside before stays."""
    home = host.app.paths.home
    wrong, earlier = host.app.paths.lock, home / "lock.damaged"
    wrong.unlink(missing_ok=True)
    (wrong / "in it").mkdir(parents=True)
    earlier.write_text("an earlier one")
    assert host.run("resume") == Exit.FAILED
    shell(failing(lambda: lock(host.app.paths).__enter__()))
    assert earlier.read_text() == "an earlier one"
    assert (home / "lock.damaged.2/in it").is_dir()
    assert host.run("resume") == Exit.GOOD


def move_away_what_a_container_put(host: Host) -> None:
    release = host.app.release(HALF)
    other = host.app.data("other", "of the app")
    there = host.app.paths.shared / "conf/site.conf"
    there.parent.mkdir()
    there.symlink_to(other)

    def place() -> None:
        container_nginx._overwrite(release, "conf/site.conf", "server {}", 0o644)

    advice = failing(place)
    assert f"move {there} away" in advice
    shutil.move(there, there.with_name("put"))
    place()
    assert (there.read_text(), other.read_text()) == ("server {}", "of the app")


def move_a_file_of_shared_away(host: Host) -> None:
    release = host.app.release(HALF)
    release.source.mkdir()
    (release.source / ".env").write_text("A=1")
    there = host.app.data(".env", "A=2")
    content = there.read_bytes()
    advice = failing(lambda: temporary_files._is_of_host(release, ".env", content))
    assert "move shared/.env away" in advice
    shutil.move(there, there.with_name(".env.before"))
    assert temporary_files._read(release, ".env") is None
    assert (release.source / ".env").read_text() == "A=1"


def change_only_wrong_owners(host: Host) -> None:
    directory = host.app.paths.shared / "models"
    directory.mkdir()
    for name, number in (("wrong", 4711), ("other", 4712)):
        (directory / name).write_text(name)
        os.chown(directory / name, number, number)
    wrong = DirectoryState(str(directory), "4713:4713 0755", "4711:4711 0755", True)
    shell(_chown(wrong))
    assert [(directory / name).stat().st_uid for name in ("wrong", "other")] == [4713, 4712]
    assert (directory / "wrong").read_text() == "wrong"


def roll_back_a_release(host: Host) -> None:
    host.write("later")
    roll_back(host)
