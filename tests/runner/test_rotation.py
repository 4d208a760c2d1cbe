"""Log files are rotated in place, and nothing that a container puts beside them is touched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.data import rotation
from gpuhost.runner.data.rotation import rotate
from gpuhost.runner.lib import boot_time
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Directory, Logs
from tests.runner.host_fixtures import ME, App, app

__all__ = ["app"]

BIG = "x" * ((1 << 20) + 1)


def declare(app: App, *files: str, keep: int = 3) -> None:
    app.release(logs=Logs(files, 1, keep), is_current=True)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def test_a_large_file_is_rotated_in_place_and_the_newest_copies_are_kept(app: App) -> None:
    log = app.data("logs/a.log", f"1{BIG}")
    log.chmod(0o640)
    declare(app, "logs/*.log", keep=2)
    inode = log.stat().st_ino
    for number in range(1, 5):
        log.write_text(f"{number}{BIG}")
        assert rotate(app.paths)
    assert (log.stat().st_ino, log.read_text()) == (inode, "")
    assert names(log.parent) == ["a.log", "a.log.1.gz", "a.log.2.gz"]
    assert [unpacked(log.with_name(f"a.log.{n}.gz"))[0] for n in (1, 2)] == ["4", "3"]
    assert log.with_name("a.log.1.gz").stat().st_mode & 0o7777 == 0o640


def test_an_app_that_goes_on_at_its_offset_is_not_rotated_each_hour(app: App) -> None:
    log = app.data("logs/a.log", BIG)
    declare(app, "logs/*.log")
    with log.open("r+") as opened:
        opened.seek(len(BIG))
        for line in ("one\n", "two\n"):
            assert rotate(app.paths)
            opened.write(line)
            opened.flush()
    assert names(log.parent) == ["a.log", "a.log.1.gz"]
    assert log.stat().st_size > len(BIG)
    assert log.read_text().endswith("one\ntwo\n")


def test_a_rotation_that_was_cut_costs_no_copy(app: App) -> None:
    log = app.data("logs/a.log", f"3{BIG}")
    declare(app, "logs/*.log")
    for number, content in ((2, "2"), (3, "1")):
        log.with_name(f"a.log.{number}.gz").write_bytes(gzip.compress(content.encode()))
    assert rotate(app.paths)
    assert [unpacked(log.with_name(f"a.log.{n}.gz"))[0] for n in (1, 2, 3)] == ["3", "2", "1"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")
def test_a_copy_has_the_owner_of_its_file(app: App) -> None:
    log = app.data("logs/a.log", BIG)
    os.chown(log, 1001, 1002)
    declare(app, "logs/a.log")
    assert rotate(app.paths)
    state = log.with_name("a.log.1.gz").stat()
    assert (state.st_uid, state.st_gid) == (1001, 1002)


class Clocks:
    """Of a host that is started again, and whose clock is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot, self.hours, self.wall = "a", 1.0, 1.8e9
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "clock_gettime", lambda clock: self.hours * 3600)
        monkeypatch.setattr(boot_time, "boot", lambda: self.boot)


# The boot, the hours since it, and whether it is rotated.
OLD = [("a", 1, False), ("a", 24, False), ("a", 26, True), ("a", 27, False), ("b", 1, False),
       ("b", 22, False), ("b", 23, True), ("b", 24, False)]  # fmt: skip


def test_a_small_file_is_rotated_when_the_host_has_run_for_a_day(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = app.data("logs/a.log", "small")
    app.data("logs/empty.log")
    declare(app, "logs/*.log")
    clocks = Clocks(monkeypatch)
    for clocks.boot, clocks.hours, is_rotated in OLD:
        log.write_text("small")
        assert rotate(app.paths)
        assert (log.read_text() == "") == is_rotated, clocks.hours
    assert names(log.parent) == ["a.log", "a.log.1.gz", "a.log.2.gz", "empty.log"]


def test_a_clock_that_jumps_rotates_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    log = app.data("logs/a.log", "small")
    declare(app, "logs/*.log")
    clocks = Clocks(monkeypatch)
    for _ in range(5):
        for jump in (366 * 24 * 3600, -366 * 24 * 3600):
            clocks.wall += jump
            assert rotate(app.paths)
    assert names(log.parent) == ["a.log"]


def test_only_log_files_are_rotated(app: App) -> None:
    for name in ("a.txt", ".hidden", "b.txt.3.gz"):
        app.data(f"logs/{name}", BIG)
    declare(app, "logs/*", "missing/*.log")
    assert rotate(app.paths)
    assert names(app.paths.shared / "logs") == [".hidden", "a.txt", "a.txt.1.gz", "b.txt.3.gz"]
    assert rotate(app.paths)


def test_without_a_release_there_is_nothing_to_rotate(app: App) -> None:
    assert rotate(app.paths)


def test_holes_are_not_packed(app: App) -> None:
    log = app.data("logs/a.log", "begin\n")
    for offset, text in ((1 << 40, b"middle\n"), (1 << 41, b"end\n")):
        with log.open("r+b") as file:
            file.seek(offset)
            file.write(text)
    os.truncate(log, 1 << 42)
    app.data("logs/only-a-hole.log")
    os.truncate(log.with_name("only-a-hole.log"), 1 << 40)
    declare(app, "logs/*.log")
    ages = {repr(str(path)): rotation.DAY for path in log.parent.iterdir()}
    write_json(rotation.state_of(app.paths), {"ages": ages})
    assert rotate(app.paths)
    assert unpacked(log.with_name("a.log.1.gz")).replace("\0", "") == "begin\nmiddle\nend\n"
    assert (log.stat().st_size, log.with_name("only-a-hole.log").stat().st_size) == (0, 0)


def test_what_an_app_appends_meanwhile_disorders_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is a beginning of what was written."""
    log = app.data("logs/a.log", "".join(f"{n:06} first\n" for n in range(90_000)))
    declare(app, "logs/*.log")
    numbers, seek, written = iter(range(90_000, 200_000)), os.lseek, [log.read_text()]

    def seek_and_append(*words: int) -> int:
        found = seek(*words)
        if len(written) < 50:
            lines = "".join(f"{next(numbers):06} later\n" for _ in range(40))
            with log.open("a") as file:
                file.write(lines)
            written.append(lines)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(os, "lseek", seek_and_append)
        assert rotate(app.paths)
    copied = unpacked(log.with_name("a.log.1.gz"))
    assert len(copied) > len(written[0])
    assert "".join(written).startswith(copied)


def too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LIMIT_S", -1)


def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))


@pytest.mark.parametrize(
    ("spoil", "words"), [(too_slow, "within -1 s"), (nearly_full, "half of the free space")]
)
def test_a_log_that_cannot_be_compressed_is_kept_and_told(
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[pytest.MonkeyPatch], None],
    words: str,
) -> None:
    log = app.data("logs/a.log", "")
    log.write_bytes(os.urandom(2 << 20))
    declare(app, "logs/*.log")
    with monkeypatch.context() as patched:
        spoil(patched)
        assert not rotate(app.paths)
    assert words in capsys.readouterr().err
    assert (log.stat().st_size, names(log.parent)) == (2 << 20, ["a.log"])
    assert rotate(app.paths)
    assert names(log.parent) == ["a.log", "a.log.1.gz"]


@pytest.mark.parametrize(
    "known", ["yesterday", None, True, [1], -1e300, 1e300, 10**400, -(10**400), float("nan")]
)
def test_a_state_with_any_value_is_replaced(app: App, known: object) -> None:
    log = app.data("logs/a.log", "small")
    declare(app, "logs/*.log")
    key = repr(str(log))
    for state in ({key: known}, {"ages": known}, {"ages": {key: known}}, {"boot": known},
                  {"boot": boot_time.boot(), "up": known, "ages": {key: known}}):  # fmt: skip
        write_json(rotation.state_of(app.paths), state)
        assert rotate(app.paths)
        ages = json.loads(rotation.state_of(app.paths).read_text())["ages"]
        assert 0 <= ages[key] <= rotation.DAY


def test_names_that_are_not_utf_8_are_rotated_too(app: App) -> None:
    app.data("logs/a.log", BIG)
    strange = os.fsencode(app.paths.shared / "logs") + b"/\xff\n.log"
    Path(os.fsdecode(strange)).write_text(BIG)
    declare(app, "logs/*.log")
    assert rotate(app.paths)
    assert Path(os.fsdecode(strange + b".1.gz")).exists()


def link(path: Path) -> None:
    path.symlink_to("../../of-the-host/app.log")


def directory(path: Path) -> None:
    (path / "inner").mkdir(parents=True)


@pytest.mark.parametrize("put", [link, os.mkfifo, directory])
def test_what_is_no_regular_file_is_left_alone(
    app: App, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    (tmp_path / "app/of-the-host").mkdir()
    kept = tmp_path / "app/of-the-host/app.log"
    kept.write_text(BIG)
    put(app.data("logs/other.log", BIG).with_name("a.log"))
    declare(app, "logs/*.log")
    assert rotate(app.paths)
    assert kept.read_text() == BIG
    assert names(app.paths.shared / "logs") == ["a.log", "other.log", "other.log.1.gz"]


def test_a_copy_that_cannot_be_put_aside_keeps_the_log(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    log = app.data("logs/a.log", BIG)
    (log.with_name("a.log.1.gz") / "inner").mkdir(parents=True)
    app.data("logs/b.log", BIG)
    declare(app, "logs/*.log", keep=1)
    assert not rotate(app.paths)
    assert (log.read_text(), (log.with_name("b.log")).read_text()) == (BIG, "")
    assert names(log.parent) == ["a.log", "a.log.1.gz", "b.log", "b.log.1.gz"]
    assert "a.log" in capsys.readouterr().err


def test_a_directory_that_the_app_exchanges_for_a_link_is_not_followed(
    app: App, tmp_path: Path
) -> None:
    host = tmp_path / "var-log"
    host.mkdir()
    (host / "a.log").write_text(BIG)
    app.data("logs/web/a.log", BIG)
    app.release(
        logs=Logs(("logs/web/*.log",), 1, 3),
        directories=(Directory("logs", ME, "0755"),),
        is_current=True,
    )
    logs, is_ended = app.paths.shared / "logs", threading.Event()

    def swap() -> None:
        while not is_ended.is_set():
            (logs / "web").rename(logs / "kept")
            (logs / "web").symlink_to(host)
            (logs / "web").unlink()
            (logs / "kept").rename(logs / "web")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(60):
            rotate(app.paths)
    finally:
        is_ended.set()
        thread.join()
    assert names(host) == ["a.log"]
    assert (host / "a.log").read_text() == BIG
    assert rotate(app.paths)


def test_a_directory_in_the_place_of_a_draft_is_named(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    log = app.data("logs/a.log", BIG)
    draft = log.with_name(".a.log.gpuhost-part")
    (draft / "inner").mkdir(parents=True)
    declare(app, "logs/*.log")
    assert not rotate(app.paths)
    assert f"{str(draft)!r}: a directory is in its place: move it" in capsys.readouterr().err
    (draft / "inner").rmdir()
    assert rotate(app.paths)
    assert names(log.parent) == ["a.log", "a.log.1.gz"]
