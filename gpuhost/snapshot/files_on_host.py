"""Reads files and runs programs on the host, within limits. Sent with apps_on_host.py."""

import hashlib
import json
import math
import os
import stat
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LARGEST = 1 << 20
LONGEST_NUMBER = 40
SECONDS = 5
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def directory(path: Path, written: Collection[str] = ()) -> Iterator[int]:
    """Open, through no link that a container can have made. Raises OSError.

    + written: directories in which containers can write; a link above them is of root
    """
    place = Path(os.path.normpath(path))
    above = (*reversed(place.parents), place)
    top = next((one for one in above if str(one) in written), place)
    number = os.open(top, FOLDER)
    try:
        for name in place.relative_to(top).parts:
            inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=number)
            os.close(number)
            number = inner
        yield number
    finally:
        os.close(number)


def look(path: Path, written: Collection[str]) -> os.stat_result:
    """Of a link itself. Raises OSError."""
    with directory(path.parent, written) as parent:
        return os.stat(path.name, dir_fd=parent, follow_symlinks=False)


def content(
    path: Path, written: Collection[str] = (), *, largest: int = LARGEST, is_end: bool = False
) -> bytes:
    """Of a regular file: a pipe would never end, a device is not even opened. Raises OSError.

    + is_end: its end, where it is larger
    """
    with directory(path.parent, written) as parent:
        found = os.open(path.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        state = os.fstat(found)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path} is not a regular file")
        # The same file: a container may have put something else at its path meanwhile.
        number = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(found)
    with os.fdopen(number, "rb") as file:
        if is_end:
            file.seek(max(0, state.st_size - largest))
        return file.read(largest)


def fraction(text: str) -> float | None:
    return float(text) if math.isfinite(float(text)) else None


def whole(text: str) -> int | None:
    return int(text) if len(text) < LONGEST_NUMBER else None


def parsed(text: bytes) -> Any:
    """null for numbers that JSON does not have, or no reader: one would hide all apps."""
    return json.loads(
        text.decode("utf-8", "replace"),
        parse_float=fraction,
        parse_int=whole,
        parse_constant=lambda _: None,
    )


def small_json(path: Path) -> dict[str, Any] | None:
    try:
        value = parsed(content(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def sha256(path: Path, keys: list[str], written: Collection[str] = ()) -> str:
    """The hash of the content, or of only these keys of a JSON file."""
    found = content(path, written, largest=LARGEST * 16)
    if keys:
        values = json.loads(found)  # as the runner, of the same text
        found = json.dumps({key: values.get(key) for key in keys}, sort_keys=True).encode()
    return hashlib.sha256(found).hexdigest()


def run(*words: str, stdin: str = "") -> dict[str, str]:
    """The output of a command, or its error in one line; one that prints too much is ended."""
    # systemd evaluates calendars in the time zone of the host.
    environment = {key: value for key, value in os.environ.items() if key != "TZ"}
    pipe = subprocess.PIPE
    try:
        with os.fdopen(os.memfd_create("stdin"), "w+b") as given:
            given.write(stdin.encode())
            given.seek(0)
            process = subprocess.Popen(
                words, stdin=given, stdout=pipe, stderr=pipe, env=environment
            )
    except OSError as error:
        return {"out": "", "said": f"{words[0]}: {error.__class__.__name__}"}
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    with process:
        out, err = (beginning(process, stream) for stream in (process.stdout, process.stderr))
    timer.cancel()
    if process.returncode == 0:
        return {"out": out, "said": ""}
    status = f"exit status {process.returncode}"
    why = f"ended after {SECONDS} s or too much output" if process.returncode < 0 else status
    last = (err.strip().splitlines() or [why])[-1]
    return {"out": "", "said": f"{words[0]}: {last}"}


def beginning(process: subprocess.Popen[bytes], stream: IO[bytes] | None) -> str:
    found = stream.read(LARGEST) if stream else b""
    if len(found) == LARGEST:
        process.kill()
    return found.decode("utf-8", "replace")
