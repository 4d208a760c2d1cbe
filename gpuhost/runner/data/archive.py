"""Unpacks the source archive of a release; no file can escape the directory."""

from __future__ import annotations

import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import pieces

FIX = "release again: this makes a new archive"


def unpack(archive: Path, into: Path) -> None:
    """Unpack regular files, directories and links, owned by root, without setuid bits.

    + into: a new directory

    Raises Failure for a path that leads outside, for devices, and for an incomplete archive.
    """
    into.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                abort.look()
                _unpack(opened, member, into)
    except FileNotFoundError:
        raise Failure(f"{archive.name} is missing in the release", fix=FIX) from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise Failure(f"{archive.name} cannot be unpacked: {error}", fix=FIX) from error


def _unpack(opened: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    path = _inside(into, member.name)
    if path == into:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
        path.chmod(member.mode & 0o777 | 0o700)
    elif member.issym():
        # Links may point anywhere: nothing is written through them.
        path.symlink_to(member.linkname)
    elif member.islnk():
        path.hardlink_to(_inside(into, member.linkname))
    elif member.isfile():
        _write(opened, member, path)
    else:
        raise Failure(f"the source has a device or a pipe, {member.name!r}", fix="remove it")


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = opened.extractfile(member)
    assert content is not None
    with path.open("xb") as file:
        file.writelines(pieces(cast(BinaryIO, content)))
        os.fchmod(file.fileno(), member.mode & 0o777)


def _inside(into: Path, name: str) -> Path:
    """The path of a member. Raises Failure if it is outside of `into` or behind a link."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise Failure(f"the archive has a path outside of its directory, {name!r}", fix=FIX)
    path = into
    for part in pure.parts:
        path /= part
        if path.is_symlink():
            raise Failure(f"the archive writes through a link, {name!r}", fix=FIX)
    return path
