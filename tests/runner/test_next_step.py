"""Whatever fails, the person who reads of it also reads the next step."""

from __future__ import annotations

import errno
import math
import tarfile
from collections.abc import Callable

import pytest

from gpuhost.runner.data import (
    archive,
    backup,
    directories,
    secrets,
    seed,
    stored,
    tarball_read,
)
from gpuhost.runner.lib import commands
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import FULL_FIX, Failure, explained
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Backup, Directory, Secret
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.transaction import refuse
from gpuhost.runner.state import transitions
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, NEW, App, app, programs
from tests.runner.restore_fixtures import activated
from tests.runner.running import run_runner
from tests.runner.unfinished_host import Host, host, interrupted_release

__all__ = ["activated", "app", "host", "programs"]

# Of a module or a class, the name of a function that fails.
Patch = Callable[[object, str], None]


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "df -h /opt"),
        (errno.EDQUOT, "df -h /opt"),
        (errno.EIO, "journalctl -k"),
        (errno.EROFS, "journalctl -k"),
    ],
)
def test_a_fault_of_the_disk_is_told_with_the_path(
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    step: str,
) -> None:
    app.release(is_current=True)

    def begin(*_: object) -> None:
        raise OSError(number, "no luck", str(app.paths.attempt))

    monkeypatch.setattr("gpuhost.runner.stages.carry_out.begin", begin)
    assert run_runner(monkeypatch, app.paths.home, "release", NEW) == Exit.UNFORESEEN
    said, advice = capsys.readouterr().err.splitlines()
    assert said == f"'{app.paths.attempt}': no luck"
    assert advice.startswith("-> ")
    assert step in advice


def unpack_a_source(app: App, fail: Patch) -> None:
    release = app.release()
    tarfile.open(release.paths.archive, "w:gz").close()
    fail(archive, "_unpack_all")
    archive.unpack(release.paths.archive, release.source)


def read_an_archive(app: App, fail: Patch) -> None:
    saved = app.paths.home / "saved.tar.gz"
    tarfile.open(saved, "w:gz").close()
    fail(tarball_read.Archive, "members")
    tarball_read.read_through(saved, math.inf)


def back_up(app: App, fail: Patch) -> None:
    app.data("data/x")
    fail(stored, "write_json")
    backup.backup(app.release(backup=Backup(paths=("data",))), "schedule")


def copy_from_the_source(app: App, fail: Patch) -> None:
    release = app.release(directories=(Directory("data", ME),))
    (release.source / "data").mkdir(parents=True)
    (release.source / "data/x").touch()
    fail(seed, "_copy_file")
    seed.seed(release, "data")


def write_a_secret(app: App, fail: Patch) -> None:
    release = app.release(secrets=(Secret("KEY", path="key"),), given={"KEY": "value"})
    fail(DirectoryHandle, "replace")
    secrets.place_files(release)


def make_a_directory(app: App, fail: Patch) -> None:
    fail(directories, "_owned")
    directories.make(app.release(directories=(Directory("data", ME),)))


def dump_to_a_file(app: App, fail: Patch) -> None:
    fail(commands, "_create")
    commands.stream(NOWHERE, "true", seconds=9, what="dump", target=app.paths.home / "dump")


def exchange(app: App, fail: Patch) -> None:
    with explained("it cannot be exchanged", "correct that"):
        raise OSError(errno.ENOSPC, "no luck")


CONVERTERS = (unpack_a_source, read_an_archive, back_up, copy_from_the_source, write_a_secret,
              make_a_directory, dump_to_a_file, exchange)  # fmt: skip


@pytest.mark.parametrize("convert", CONVERTERS)
def test_a_full_disk_is_told_whatever_the_runner_did(
    app: App, monkeypatch: pytest.MonkeyPatch, convert: Callable[[App, Patch], None]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no luck")

    with pytest.raises(Failure, match="no luck") as raised:
        convert(app, lambda module, name: monkeypatch.setattr(module, name, full))
    assert raised.value.fix == FULL_FIX


def test_a_refusal_without_a_next_step_has_no_line_for_it(app: App) -> None:
    app.release()
    release = Release.open(app.paths, NEW)
    refuse(release, Failure("no"))
    assert release.paths.log.read_text().rstrip().endswith(" no")


def test_the_log_of_a_backup_that_waited_in_vain_has_the_next_step(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted_release(host)
    assert host.verb(transitions.BACKUP) == Exit.LOCKED
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == f"-> {transitions.FIRST_END_IT}"
    log = (host.app.paths.backups / "last.log").read_text()
    assert all(line in log for line in told)
