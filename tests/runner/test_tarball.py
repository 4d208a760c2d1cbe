"""Files in a backup: all that a file system keeps of them, and nothing from elsewhere."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuhost.runner.data import tarball_member
from gpuhost.runner.data.tarball_read import read_through
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from tests.runner.archives import Add, a_file, a_member, write_archive
from tests.runner.trees import ACL, DEFAULT_ACL, LATE, an_acl, describe, packed, unpacked

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")
DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
MIB = 1 << 20


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("of the host")
    return tmp_path / "data"


def a_tree(top: Path) -> None:
    """One of each kind."""
    (top / "empty/inner").mkdir(parents=True)
    (top / "file").write_bytes(b"content\0" * 1000)
    (top / "same").hardlink_to(top / "file")
    (top / "empty/third").hardlink_to(top / "file")
    (top / "link").symlink_to("file")
    (top / "nowhere").symlink_to("/missing/" + "x" * 300)
    (top / os.fsdecode(b"no \xff utf-8\n")).write_text("x")
    (top / ("long" * 60)).mkdir()
    (top / ("long" * 60) / ("ü" * 120)).write_text("y")
    (top / "setuid").write_text("z")
    (top / "nothing").touch()
    os.setxattr(top / "file", "user.binary", b"\0\xff\n30 hdrcharset=BINARY\n")
    os.setxattr(top / "empty", "user.a=b%", b"1")
    os.setxattr(top / "file", os.fsencode("user.") + b"\xfe", b"")
    os.setxattr(top / "setuid", ACL, an_acl(1234))
    os.setxattr(top / "empty", DEFAULT_ACL, an_acl(1234))
    (top / "setuid").chmod(0o4750)
    (top / "empty").chmod(0o1777)
    os.utime(top / "file", ns=(1, 1_700_000_000_123_456_789))
    os.utime(top / "nothing", ns=(1, -1_500_000_000))
    os.utime(top / "empty", ns=(1, 1_600_000_000_987_654_321))
    os.utime(top, ns=(1, 5))


def test_everything_is_kept(top: Path, tmp_path: Path) -> None:
    a_tree(top)
    before = describe(top)
    packed(top, tmp_path / "data.tar.gz")
    assert describe(unpacked(tmp_path / "data.tar.gz", tmp_path / "into")) == before


def test_a_file_that_gets_the_number_of_a_deleted_one_is_no_other_name_of_it(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (top / f"file{number}").write_text("x" * number)
        (top / f"other{number}").hardlink_to(top / f"file{number}")
    real = os.fstat

    def one_number(file: int) -> Any:
        state = real(file)
        fields = {name: getattr(state, name) for name in dir(state) if name.startswith("st_")}
        is_linked = stat.S_ISREG(state.st_mode) and state.st_nlink > 1
        return SimpleNamespace(**{**fields, "st_ino": 1} if is_linked else fields)

    monkeypatch.setattr(os, "fstat", one_number)
    packed(top, tmp_path / "data.tar.gz")
    monkeypatch.undo()
    again = unpacked(tmp_path / "data.tar.gz", tmp_path / "into")
    contents = {path.name: path.read_text() for path in again.iterdir()}
    assert contents == {path.name: path.read_text() for path in top.iterdir()}
    assert len({path.stat().st_ino for path in again.iterdir()}) == 3


@root
def test_owners_are_kept_with_what_a_change_of_owner_removes(top: Path, tmp_path: Path) -> None:
    a_tree(top)
    for number, path in enumerate((top, top / "link", top / "empty", top / "setuid", top / "file")):
        os.chown(path, 3_000_000 + number, 1002, follow_symlinks=False)
    (top / "setuid").chmod(0o4755)
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(top / "file", "security.capability", capability)
    before = describe(top)
    packed(top, tmp_path / "data.tar.gz")
    assert describe(unpacked(tmp_path / "data.tar.gz", tmp_path / "into")) == before


def a_sparse_file(path: Path, *data: int, size: int = 1 << 40) -> None:
    with path.open("wb") as file:
        for offset in data:
            file.seek(offset)
            file.write(b"data" * 1024)
        file.truncate(size)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ((), 1 << 40),
        ((0,), 1 << 30),
        ((5 * MIB, 900 * MIB), 1 << 40),
        ((60 * MIB,), 60 * MIB + 4096),
    ],
)
def test_holes_are_not_packed_and_are_holes_again(
    top: Path, tmp_path: Path, data: tuple[int, ...], size: int
) -> None:
    a_sparse_file(top / "ü sparse", *data, size=size)
    (top / "ü sparse").chmod(0o640)
    content = packed(top, tmp_path / "data.tar.gz")
    assert content.unpacked <= 4096 * len(data)
    again = unpacked(tmp_path / "data.tar.gz", tmp_path / "into") / "ü sparse"
    state = again.stat()
    assert (state.st_size, state.st_blocks * 512 <= MIB) == (size, True)
    assert stat.S_IMODE(state.st_mode) == 0o640
    for offset in data:
        with again.open("rb") as file:
            file.seek(offset)
            assert file.read(4096) == b"data" * 1024


def tar(*words: str | Path) -> str:
    done = subprocess.run(["tar", *words], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tar_of_the_system_lists_and_unpacks_it(top: Path, tmp_path: Path) -> None:
    a_tree(top)
    # Its name of an attribute is UTF-8 with GNU tar.
    os.removexattr(top / "file", os.fsencode("user.") + b"\xfe")
    a_sparse_file(top / "sparse", 5 * MIB, size=64 * MIB)
    before = describe(top)
    packed(top, tmp_path / "data.tar.gz")
    assert len(tar("-tzf", tmp_path / "data.tar.gz").splitlines()) == len(before)
    (tmp_path / "by-tar").mkdir()
    attributes = ("--xattrs", "--xattrs-include=*", "--numeric-owner")
    tar(*attributes, "-xpzf", tmp_path / "data.tar.gz", "-C", tmp_path / "by-tar")
    again = tmp_path / "by-tar/data"
    assert describe(again) == before
    assert (again / "sparse").stat().st_blocks * 512 < MIB


NAMES = st.binary(min_size=1, max_size=8).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
ENTRIES = st.fixed_dictionaries(
    {
        "where": st.integers(0, 8),
        "name": NAMES,
        "kind": st.sampled_from(["file", "directory", "link", "hard link", "sparse"]),
        "content": st.binary(max_size=40),
        "mode": st.integers(0, 0o7777),
        "time": st.integers(-(10**18), 4 * 10**18),
        "attributes": st.dictionaries(
            st.binary(min_size=1, max_size=6), st.binary(max_size=20), max_size=2
        ),
    }
)


def make_tree(top: Path, entries: list[dict[str, object]]) -> None:
    directories, files, made = [top], [], []
    for entry in entries:
        path = directories[int(str(entry["where"])) % len(directories)] / os.fsdecode(entry["name"])  # type: ignore[arg-type]
        content = entry["content"]
        assert isinstance(content, bytes)
        if os.path.lexists(path):
            continue
        if entry["kind"] == "directory":
            path.mkdir()
            directories.append(path)
        elif entry["kind"] == "link":
            path.symlink_to(os.fsdecode(content.replace(b"\0", b"") or b"x"))
            continue
        elif entry["kind"] == "hard link" and files:
            path.hardlink_to(files[-1])
            continue
        elif entry["kind"] == "sparse":
            with path.open("wb") as file:
                file.seek(len(content) * 5000)
                file.write(content)
                file.truncate(len(content) * 9000)
        else:
            path.write_bytes(content)
        if entry["kind"] != "directory":
            files.append(path)
        made.append((path, entry))
    for path, entry in reversed(made):
        attributes = entry["attributes"]
        assert isinstance(attributes, dict)
        for name, value in attributes.items():
            if b"\0" not in name:
                os.setxattr(path, b"user." + name, value)
        path.chmod(int(str(entry["mode"])) | (0 if os.getuid() == 0 else 0o700))
        os.utime(path, ns=(0, int(str(entry["time"]))))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(entries=st.lists(ENTRIES, max_size=12))
def test_any_tree_is_the_same_again(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]]
) -> None:
    home = tmp_path_factory.mktemp("any")
    (home / "data").mkdir()
    make_tree(home / "data", entries)
    before = describe(home / "data")
    content = packed(home / "data", home / "data.tar.gz")
    assert content.entries == len(before)
    assert describe(unpacked(home / "data.tar.gz", home / "into")) == before


def test_pipes_sockets_and_devices_are_left_out_and_named_once(top: Path, tmp_path: Path) -> None:
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(top / "socket"))
    packed(top, tmp_path / "data.tar.gz")
    assert tar("-tzf", tmp_path / "data.tar.gz") == "data/\n"
    logged = (tmp_path / "log").read_text().splitlines()
    assert len(logged) == 1
    assert logged[0].endswith("data: 2 sockets, pipes or devices are not packed, such as data/pipe")


@pytest.fixture
def deep(top: Path) -> Iterator[Path]:
    """A directory for trees that pytest could not delete."""
    (top.parent / "deep").mkdir()
    yield top.parent / "deep"
    subprocess.run(["rm", "-rf", top.parent / "deep"], check=True)


def dig(top: Path, levels: int) -> None:
    top.mkdir()
    handle = DirectoryHandle.open(top)
    for _ in range(levels):
        inner = handle.make("d")
        handle.close()
        handle = inner
    handle.create("f").close()
    handle.close()


def test_a_tree_as_deep_as_a_path_can_name_is_kept_and_a_deeper_one_is_named(
    deep: Path, tmp_path: Path
) -> None:
    # data/, d/ for each level and f: 4,094 bytes.
    dig(deep / "data", 2044)
    assert packed(deep / "data", tmp_path / "data.tar.gz").entries == 2046
    again = unpacked(tmp_path / "data.tar.gz", deep / "into")
    packed(again, tmp_path / "again.tar.gz")
    assert len(tar("-tzf", tmp_path / "again.tar.gz").splitlines()) == 2046
    (deep / "data").rename(deep / "longer")
    with pytest.raises(Failure, match=r"^longer/d/d/.* is too deep for a path"):
        packed(deep / "longer", tmp_path / "longer.tar.gz")


Swap = Callable[[Path, Path], None]


def by_a_link(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    path.symlink_to(host)


def by_a_link_to_a_file(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    path.symlink_to(host / "secret")


def by_a_pipe(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    os.mkfifo(path)


def by_a_device(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def by_nothing(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))


@pytest.mark.parametrize(
    "swap",
    [by_a_link, by_a_link_to_a_file, by_a_pipe, pytest.param(by_a_device, marks=root), by_nothing],
)
@pytest.mark.parametrize("name", ["inner", "inner/file"])
def test_what_is_exchanged_between_look_and_open_brings_nothing_from_outside(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: Swap, name: str
) -> None:
    (top / "inner").mkdir()
    (top / "inner/file").write_text("of the app")
    look = DirectoryHandle.look

    def look_and_swap(handle: DirectoryHandle, one: str) -> os.stat_result | None:
        state = look(handle, one)
        if state is not None and handle.path / one == top / name:
            monkeypatch.setattr(DirectoryHandle, "look", look)
            swap(top / name, tmp_path / "host")
        return state

    monkeypatch.setattr(DirectoryHandle, "look", look_and_swap)
    packed(top, tmp_path / "data.tar.gz")
    with tarfile.open(tmp_path / "data.tar.gz") as archive:
        contents = {
            member.name: file.read()
            for member in archive
            if (file := archive.extractfile(member) if member.isreg() else None)
        }
    assert b"of the host" not in contents.values()
    assert not any("secret" in path for path in contents)
    assert name not in contents


class Opened:
    """A file that behaves in an odd way."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def test_a_file_that_becomes_shorter_or_longer_while_it_is_read(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "longer").write_text("x" * 100)
    (top / "shorter").write_text("y" * 100)
    read = DirectoryHandle.read

    class Changing(Opened):
        def seek(self, offset: int) -> None:
            (top / self.name).write_text("z" * {"longer": 500, "shorter": 10}[self.name])

    monkeypatch.setattr(
        DirectoryHandle, "read", lambda handle, name: Changing(read(handle, name), name)
    )
    packed(top, tmp_path / "data.tar.gz")
    again = unpacked(tmp_path / "data.tar.gz", tmp_path / "into")
    assert (again / "longer").read_text() == "z" * 100
    assert (again / "shorter").read_bytes() == b"z" * 10 + b"\0" * 90
    assert "warning: data/shorter became shorter" in (tmp_path / "log").read_text()


def test_a_file_that_cannot_be_read_is_named(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "file").write_text("x")
    read = DirectoryHandle.read

    class Damaged(Opened):
        def read(self, count: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(
        DirectoryHandle, "read", lambda handle, name: Damaged(read(handle, name), name)
    )
    with pytest.raises(OSError) as raised:
        packed(top, tmp_path / "data.tar.gz")
    assert raised.value.filename == "data/file"


def test_attributes_that_would_fill_the_memory_are_refused(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "file").touch()
    for number in range(3):
        os.setxattr(top / "file", f"user.{number}", b"x" * 400)
    monkeypatch.setattr(tarball_member, "MOST_XATTRS", 1000)
    with pytest.raises(OSError, match="more than 1 MiB of extended attributes") as raised:
        packed(top, tmp_path / "data.tar.gz")
    assert raised.value.filename == "data/file"


TOP = a_member("data", DIRECTORY)
INNER = a_member("data/a", DIRECTORY)
TO_HOST = a_member("data/a", LINK, "../../host")
TO_SECRET = a_member("data/a", LINK, "../../host/secret")
HOSTILE: dict[str, tuple[Add, ...]] = {
    "absolute": (a_file("/tmp/stolen"),),
    "above": (TOP, a_file("data/../../stolen")),
    "above as a name": (TOP, a_member("data/..", DIRECTORY)),
    "a file twice": (TOP, a_file("data/a"), a_file("data/a")),
    "a directory twice": (TOP, INNER, INNER),
    "two tops": (TOP, a_member("other", DIRECTORY)),
    "a link, then a file of its name": (TOP, TO_SECRET, a_file("data/a")),
    "a link, then a path through it": (TOP, TO_HOST, a_file("data/a/stolen")),
    "a link, then a directory of its name": (TOP, TO_HOST, INNER),
    "a hard link to the host": (TOP, a_member("data/a", HARD, "../host/secret")),
    "a hard link through a link": (TOP, TO_HOST, a_member("data/b", HARD, "data/a/secret")),
    "a hard link to a link": (TOP, TO_SECRET, a_member("data/b", HARD, "data/a")),
    "a hard link to nothing": (TOP, a_member("data/b", HARD, "data/a")),
    "a hard link to a directory": (
        TOP,
        a_member("data/d", DIRECTORY),
        a_member("data/b", HARD, "data/d"),
    ),
    "a file before its directory": (a_file("data/a"),),
    "a device": (TOP, a_member("data/a", tarfile.CHRTYPE)),
    "a pipe": (TOP, a_member("data/a", tarfile.FIFOTYPE)),
    "an unknown kind": (TOP, a_member("data/a", b"Z")),
    "nothing": (),
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(top: Path, tmp_path: Path, members: tuple[Add, ...]) -> None:
    write_archive(tmp_path / "a.tar.gz", *members)
    before = describe(tmp_path / "host")
    with pytest.raises(Failure, match=r"a\.tar\.gz"):
        unpacked(tmp_path / "a.tar.gz", tmp_path / "into")
    assert describe(tmp_path / "host") == before
    assert not list(tmp_path.rglob("stolen"))


@pytest.mark.parametrize("cut", [1, 8, 9, 100, 400])
def test_an_archive_without_its_end_is_refused(top: Path, tmp_path: Path, cut: int) -> None:
    (top / "file").write_bytes(os.urandom(500))
    archive = tmp_path / "data.tar.gz"
    packed(top, archive)
    archive.write_bytes(archive.read_bytes()[:-cut])
    for read in (
        lambda: unpacked(archive, tmp_path / "into"),
        lambda: read_through(archive, LATE),
    ):
        with pytest.raises(Failure, match="cannot be unpacked"):
            read()


def test_packing_and_reading_end_at_the_deadline_within_a_file(top: Path, tmp_path: Path) -> None:
    (top / "file").write_bytes(b"x")
    packed(top, tmp_path / "data.tar.gz")
    with pytest.raises(Failure, match=r"not packed within backup\.limit_s"):
        packed(top, tmp_path / "late.tar.gz", deadline=0)
    with pytest.raises(Failure, match=r"not verified within backup\.limit_s"):
        read_through(tmp_path / "data.tar.gz", 0)
