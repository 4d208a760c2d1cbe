"""A directory that came as a tar archive, unpacked so that nothing gets outside."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from gpuhost.runner.lib.failure import Failure

FIX = "release again: the archive is made anew of the directory"


def unpack(archive: Path, into: Path) -> None:
    """Regular files, directories and links; the owner is root, and no setuid bit survives.

    + into: a directory that is not there yet

    Raises Failure for what would get outside of it, for devices, and for an archive that is not
    whole.
    """
    into.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                _unpack(opened, member, into)
    except FileNotFoundError:
        raise Failure(f"{archive.name} did not come with the release", fix=FIX) from None
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
        # What a link points to is the build's affair; nothing is ever written through one.
        path.symlink_to(member.linkname)
    elif member.islnk():
        path.hardlink_to(_inside(into, member.linkname))
    elif member.isfile():
        _write(opened, member, path)
    else:
        raise Failure(f"the source has a device or a pipe, {member.name!r}; take it out")


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = opened.extractfile(member)
    assert content is not None
    with path.open("xb") as file:
        shutil.copyfileobj(content, file)
        os.fchmod(file.fileno(), member.mode & 0o777)


def _inside(into: Path, name: str) -> Path:
    """The place of a member. Raises Failure if it is elsewhere, or behind a link."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise Failure(f"the archive has a path that leads out of it, {name!r}", fix=FIX)
    path = into
    for part in pure.parts:
        path /= part
        if path.is_symlink():
            raise Failure(f"the archive writes through a link, {name!r}", fix=FIX)
    return path
