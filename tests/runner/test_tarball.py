"""Files in a backup: all that a file system keeps of them, and nothing from elsewhere."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuhost.runner.data import tarball_pack
from gpuhost.runner.data.tarball_read import read_through
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from tests.runner.trees import ACL, DEFAULT_ACL, an_acl, describe, packed, top, unpacked

__all__ = ["top"]

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")
DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
MIB = 1 << 20


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


def test_files_with_other_names_elsewhere_are_forgotten(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app can make any number of them."""
    monkeypatch.setattr(tarball_pack, "MOST_LINKED", 1)
    (tmp_path / "elsewhere").mkdir()
    for number in range(5):
        (top / f"file{number}").write_text("x")
        (top / f"other{number}").hardlink_to(top / f"file{number}")
        (tmp_path / f"elsewhere/{number}").hardlink_to(top / f"file{number}")
    packed(top, tmp_path / "data.tar.gz")
    into = unpacked(tmp_path / "data.tar.gz", tmp_path / "into")
    files = list(into.iterdir())
    assert [path.read_text() for path in files] == ["x"] * 10
    assert sum(path.stat().st_nlink > 1 for path in files) <= 2


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


def test_packing_and_reading_end_at_the_deadline_within_a_file(top: Path, tmp_path: Path) -> None:
    (top / "file").write_bytes(b"x")
    packed(top, tmp_path / "data.tar.gz")
    with pytest.raises(Failure, match=r"not packed within backup\.limit_s"):
        packed(top, tmp_path / "late.tar.gz", deadline=0)
    with pytest.raises(Failure, match=r"not verified within backup\.limit_s"):
        read_through(tmp_path / "data.tar.gz", 0)
