"""What an app could put where the runner reads, writes or deletes: nothing else is reached."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuhost.runner.lib import directory_handle
from gpuhost.runner.lib.directory_handle import DirectoryHandle

Act = Callable[[DirectoryHandle, str], object]
ACTS: dict[str, Act] = {
    "read": lambda handle, name: handle.read(name).close(),
    "overwrite": lambda handle, name: handle.overwrite(name, b"theirs", 0o644),
    "create": lambda handle, name: handle.create(name).close(),
    "enter": lambda handle, name: handle.enter(name).close(),
}


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[DirectoryHandle]:
    (tmp_path / "app").mkdir()
    (tmp_path / "secret").write_text("of the host")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("of the host")
    with DirectoryHandle.open(tmp_path / "app") as handle:
        yield handle
    assert (tmp_path / "secret").read_text() == "of the host"
    assert (tmp_path / "kept/file").read_text() == "of the host"


def open_handles() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def link(path: Path) -> None:
    path.symlink_to("../secret")


def link_to_directory(path: Path) -> None:
    path.symlink_to("../kept")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("put", [link, link_to_directory, link_to_itself, os.mkfifo, socket])
def test_only_what_was_meant_is_opened(
    handle: DirectoryHandle, put: Callable[[Path], None], act: Act
) -> None:
    put(handle.path / "name")
    with pytest.raises(OSError):
        act(handle, "name")


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "/etc/passwd", "a\0b"])
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_name_is_one_component(handle: DirectoryHandle, name: str, act: Act) -> None:
    with pytest.raises(OSError, match="not a single name"):
        act(handle, name)


def test_a_pipe_with_a_writer_is_no_file(handle: DirectoryHandle) -> None:
    os.mkfifo(handle.path / "pipe")
    other = os.open(handle.path / "pipe", os.O_RDWR)
    try:
        for act in (ACTS["read"], ACTS["overwrite"]):
            with pytest.raises(OSError, match="not a regular file"):
                act(handle, "pipe")
    finally:
        os.close(other)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a device")
def test_a_device_is_not_opened(handle: DirectoryHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's default capabilities are enough to make one in a mounted directory."""
    os.mknod(handle.path / "name", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    opened: list[int] = []
    real = os.open

    def record(path: str, flags: int, *rest: int, **directory: int) -> int:
        opened.append(flags)
        return real(path, flags, *rest, **directory)

    monkeypatch.setattr(os, "open", record)
    for act in (ACTS["read"], ACTS["overwrite"]):
        with pytest.raises(OSError, match="not a regular file"):
            act(handle, "name")
    assert opened
    assert all(flags & os.O_PATH for flags in opened)


def test_a_handle_stays_when_its_directory_is_exchanged_for_a_link(
    handle: DirectoryHandle, tmp_path: Path
) -> None:
    (tmp_path / "app").rename(tmp_path / "moved")
    (tmp_path / "app").symlink_to("kept")
    handle.overwrite("file", b"written", 0o640)
    assert (tmp_path / "moved/file").read_bytes() == b"written"
    assert handle.path == tmp_path / "moved"


def test_overwriting_keeps_the_file_that_is_mounted(handle: DirectoryHandle) -> None:
    handle.overwrite("site.conf", b"longer content", 0o600)
    before = handle.look("site.conf")
    handle.overwrite("site.conf", b"short", 0o644)
    after = handle.look("site.conf")
    assert before and after
    assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, 0o644)
    assert (handle.path / "site.conf").read_bytes() == b"short"


def test_replacing_puts_a_new_file_over_a_link_and_beside_its_target(
    handle: DirectoryHandle,
) -> None:
    link(handle.path / "name")
    link(handle.path / ".name.new")
    handle.replace("name", b"value", 0o600, (os.getuid(), os.getgid()))
    assert handle.holds("name", b"value", 0o600)
    assert not handle.holds("name", b"other", 0o600)
    assert not handle.holds("name", b"value", 0o644)
    assert handle.names() == ["name"]


@pytest.mark.parametrize("put", [link, os.mkfifo])
def test_what_is_no_file_holds_nothing(
    handle: DirectoryHandle, put: Callable[[Path], None]
) -> None:
    put(handle.path / "name")
    assert not handle.holds("name", b"of the host", 0o777)


def test_a_walk_names_everything_once_and_follows_nothing(handle: DirectoryHandle) -> None:
    top = handle.path / "top"
    (top / "b/inner").mkdir(parents=True)
    (top / "a").write_text("")
    (top / "b/inner/file").write_text("")
    os.mkfifo(top / "b/pipe")
    link_to_directory(top / "c")
    walked = {entry.path: entry for entry in handle.walk("top")}
    assert sorted(walked) == ["top", "top/a", "top/b", "top/b/inner", "top/b/inner/file",
                            "top/b/pipe", "top/c"]  # fmt: skip
    assert walked["top/c"].is_link
    assert walked["top/b"].is_directory
    assert sorted(path for path, entry in walked.items() if entry.is_file) == [
        "top/a",
        "top/b/inner/file",
    ]
    assert list(handle.walk("missing")) == []


def test_a_directory_that_becomes_a_link_during_a_walk_is_not_entered(
    handle: DirectoryHandle,
) -> None:
    top = handle.path / "top"
    (top / "data").mkdir(parents=True)
    seen = []
    for entry in handle.walk("top"):
        seen.append(entry.path)
        if entry.path == "top/data":
            (top / "data").rmdir()
            (top / "data").symlink_to("../../kept")
    assert seen == ["top", "top/data"]


def test_a_walk_leaves_no_handle_open(handle: DirectoryHandle) -> None:
    (handle.path / "top/a/b").mkdir(parents=True)
    before = open_handles()
    walk = handle.walk("top")
    next(walk)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    list(handle.walk("top"))
    assert open_handles() == before


def test_removing_deletes_links_and_not_what_they_lead_to(handle: DirectoryHandle) -> None:
    (handle.path / "top/inner").mkdir(parents=True)
    link_to_directory(handle.path / "top/inner/kept")
    link(handle.path / "top/secret")
    link_to_directory(handle.path / "alone")
    for name in ("top", "alone", "missing"):
        handle.remove(name)
    assert handle.names() == []


def test_what_disappears_while_a_tree_is_deleted_does_not_end_it(
    handle: DirectoryHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (handle.path / "top/inner").mkdir(parents=True)
    for name in ("a", "b", "inner/c"):
        (handle.path / f"top/{name}").touch()
    real = os.unlink

    def unlink(name: str, **directory: int) -> None:
        real(name, **directory)
        raise FileNotFoundError(errno.ENOENT, "a container was first", name)

    monkeypatch.setattr(os, "unlink", unlink)
    handle.remove("top")
    assert handle.names() == []


def test_a_tree_deeper_than_any_path_is_removed(handle: DirectoryHandle) -> None:
    inner = DirectoryHandle(os.dup(handle.number))
    for _ in range(3000):
        deeper = inner.make("d")
        inner.close()
        inner = deeper
    inner.create("file").close()
    inner.close()
    handle.remove("d")
    assert handle.names() == []


def test_names_that_gpuhost_gives_while_it_deletes_may_be_taken(handle: DirectoryHandle) -> None:
    inner = handle.path / "top/!a/inner"
    (inner / "file").mkdir(parents=True)
    state = inner.stat()
    for taken in (f".gpuhost-{state.st_dev}-{state.st_ino}", f".gpuhost-{state.st_dev}-0"):
        (handle.path / "top" / taken / "file").mkdir(parents=True)
    handle.remove("top")
    assert handle.names() == []


def test_many_names_are_deleted_a_few_at_a_time(
    handle: DirectoryHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_handle, "MOST_NAMES", 3)
    for number in range(10):
        (handle.path / f"top/{number}/inner").mkdir(parents=True)
        (handle.path / f"top/0/{number}").touch()
    handle.remove("top")
    assert handle.names() == []


def test_a_directory_that_is_filled_again_and_again_is_given_up(
    handle: DirectoryHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (handle.path / "top").mkdir()
    (handle.path / "top/file").touch()
    real = os.unlink

    def unlink(name: str, **directory: int) -> None:
        real(name, **directory)
        (handle.path / f"top/{name}+").touch()

    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(directory_handle, "MOST_ROUNDS", 20)
    with pytest.raises(OSError, match="its content does not end"):
        handle.remove("top")


def test_a_draft_that_is_a_directory_is_not_deleted(handle: DirectoryHandle) -> None:
    (handle.path / ".name.new/inner").mkdir(parents=True)
    with pytest.raises(OSError, match="a directory is in its place: move it elsewhere"):
        handle.replace("name", b"value", 0o600, (os.getuid(), os.getgid()))
    assert (handle.path / ".name.new/inner").exists()


@pytest.mark.parametrize("name", ["name", ".name.new"])
def test_an_empty_directory_in_the_place_of_a_file_is_removed(
    handle: DirectoryHandle, name: str
) -> None:
    (handle.path / name).mkdir()
    handle.replace("name", b"value", 0o600, (os.getuid(), os.getgid()))
    assert [path.name for path in handle.path.iterdir()] == ["name"]
    assert (handle.path / "name").read_bytes() == b"value"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("place", ["top", "top/mounted", "top/inner/mounted"])
@pytest.mark.parametrize("mount", ["mount -t tmpfs none", "mount --bind '{}/other'"])
def test_what_is_mounted_in_a_tree_is_not_deleted(
    handle: DirectoryHandle, tmp_path: Path, mount: str, place: str
) -> None:
    target = handle.path / place
    target.mkdir(parents=True)
    (tmp_path / "other").mkdir()
    assert os.system(f"{mount.format(tmp_path)} '{target}'") == 0
    try:
        (target / "file").write_text("")
        with pytest.raises(OSError) as raised:
            handle.remove("top")
        assert raised.value.errno == errno.EXDEV
        # Directories of the tree are moved up before they are deleted.
        (found,) = (path for path in handle.path.rglob("file"))
        assert found.read_text() == ""
    finally:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for each in mounts:
            if each.startswith(str(handle.path)):
                os.system(f"umount '{each}'")


LEASE = """
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lease_of_a_program_is_not_waited_for(handle: DirectoryHandle, tmp_path: Path) -> None:
    """The kernel would keep whoever opens the file waiting for 45 s."""
    (tmp_path / "app/file").write_text("of the app")
    words = [sys.executable, "-c", LEASE, str(tmp_path / "app/file")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(OSError, match="a program holds a lease on it: 'file'"):
            handle.read("file")
        holder.communicate()
    with handle.read("file") as file:
        assert file.read() == b"of the app"
