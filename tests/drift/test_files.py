"""Files that reports are written to: errors before the run and at its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpuhost.drift import files
from gpuhost.drift.files import directory_problem, replace, write_problem

MUCH = "ä" * 200_000


@contextmanager
def nobody() -> Iterator[None]:
    """Runs as an account that file modes apply to."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A directory without permission to enter it."""
    directory = tmp_path / "closed"
    (directory / "inner").mkdir(parents=True)
    directory.chmod(0)
    yield directory
    directory.chmod(0o700)


def test_below_a_directory_without_permission(closed: Path) -> None:
    with nobody():
        assert write_problem(closed / "inner" / "x.html") == "cannot be written: Permission denied"
        assert "Permission denied" in directory_problem(closed / "inner")


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert write_problem(tmp_path / "a") == "cannot be written: Too many levels of symbolic links"
    assert "Too many levels" in write_problem(tmp_path / "a" / "x.html")
    assert "Too many levels" in directory_problem(tmp_path / "a")
    with pytest.raises(OSError, match="Too many levels"):
        replace(tmp_path / "a", "x", mode=0o644)
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("letter", ["x", "語"])
def test_long_names(tmp_path: Path, letter: str) -> None:
    size = len(letter.encode())
    assert write_problem(tmp_path / (letter * 300)) == "cannot be written: File name too long"
    long = tmp_path / (letter * (255 // size))
    assert write_problem(long) == ""
    replace(long, "text", mode=0o644)
    assert long.read_text() == "text"
    assert list(tmp_path.iterdir()) == [long]


def test_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "x.html"
    assert write_problem(below) == f"no such directory: {tmp_path / 'file'}"
    assert write_problem(tmp_path) == "is a directory"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_without_a_reader(pipe: Path) -> None:
    assert write_problem(pipe) == ""
    with pytest.raises(OSError, match="nobody reads it"):
        replace(pipe, MUCH, mode=0o644)


def test_a_pipe_whose_reader_hangs(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.1)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    began = time.monotonic()
    with pytest.raises(OSError, match="nobody has read it"):
        replace(pipe, MUCH, mode=0o644)
    os.close(reader)
    assert time.monotonic() - began < 5


def test_a_slow_reader_of_a_pipe_gets_everything(pipe: Path) -> None:
    got = []

    def read() -> None:
        with pipe.open("rb", buffering=0) as reader:
            while some := reader.read(50_000):
                got.append(some)
                time.sleep(0.005)

    reading = threading.Thread(target=read)
    # The reader exists before the write, like that of a shell's >(…).
    holder = os.open(pipe, os.O_RDWR)
    reading.start()
    replace(pipe, MUCH, mode=0o644)
    os.close(holder)
    reading.join(10)
    assert b"".join(got).decode() == MUCH
    assert pipe.is_fifo()


def test_a_device_is_not_replaced() -> None:
    replace(Path(os.devnull), MUCH, mode=0o644)
    assert Path(os.devnull).is_char_device()
    with pytest.raises(OSError, match="No space left"):
        replace(Path("/dev/full"), MUCH, mode=0o644)
