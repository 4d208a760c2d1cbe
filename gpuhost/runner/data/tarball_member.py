"""Entries of a tarball: what tar's own format has no field for is in records of PAX.

Extended attributes, with POSIX ACLs, are in SCHILY.xattr.NAME, and holes in GNU.sparse.* (1.0), as
GNU tar and libarchive write them: `tar --xattrs --xattrs-include='*' -xpzf FILE` restores both.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import BinaryIO, cast
from urllib.parse import quote_from_bytes, unquote_to_bytes

XATTR = "SCHILY.xattr."
# Not: labels of the host's own security module, signatures, and the overlays of the engine.
KEPT = ("user.", "system.posix_acl_", "security.capability")
BLOCK = 512
# Bytes of the attributes of a file: some file systems have room for gigabytes.
MOST_XATTRS = 1 << 20
# Pieces of data in a sparse file; the rest is packed as one piece.
MOST_PIECES = 50_000
Pieces = list[tuple[int, int]]  # offset, length


def member(
    path: str, state: os.stat_result, xattrs: Mapping[str, bytes], pieces: Pieces | None = None
) -> tarfile.TarInfo:
    """The entry of a file, directory or link, without its content.

    + pieces: of a sparse file
    """
    info = tarfile.TarInfo(path)
    info.mode = stat.S_IMODE(state.st_mode)
    info.uid, info.gid = state.st_uid, state.st_gid
    info.pax_headers = {
        # A float has no nanoseconds.
        "mtime": format(Decimal(state.st_mtime_ns).scaleb(-9), "f"),
        **{XATTR + _encoded(name): _text(value) for name, value in xattrs.items()},
    }
    if stat.S_ISDIR(state.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(state.st_mode):
        info.type = tarfile.SYMTYPE
    elif pieces is None:
        info.size = state.st_size
    else:
        info.size = len(sparse_map(pieces)) + sum(length for _, length in pieces)
        # In ASCII and short: a record for it would hide that of the real name from some readers.
        info.name = f"GNUSparseFile.0/{state.st_ino}"
        info.pax_headers |= {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": path,
            "GNU.sparse.realsize": str(state.st_size),
        }
    return info


def path_of(info: tarfile.TarInfo) -> str:
    return info.pax_headers.get("GNU.sparse.name", info.name)


def size_of(info: tarfile.TarInfo) -> int:
    """Of a file when it is unpacked."""
    return int(info.pax_headers.get("GNU.sparse.realsize", info.size))


def pieces_of(info: tarfile.TarInfo) -> Pieces | None:
    """Where a sparse file has data; None: it has no holes."""
    return cast("Pieces | None", info.sparse)


def mtime_ns(info: tarfile.TarInfo) -> int:
    return int(Decimal(info.pax_headers.get("mtime", str(info.mtime))).scaleb(9))


def xattrs_of(info: tarfile.TarInfo) -> Iterator[tuple[bytes, bytes]]:
    """Names and values."""
    for key, value in info.pax_headers.items():
        if key.startswith(XATTR):
            name = key[len(XATTR) :].encode("utf-8", "surrogateescape")
            yield unquote_to_bytes(name), value.encode("utf-8", "surrogateescape")


def read_xattrs(path: int | str) -> dict[str, bytes]:
    """Those of an open file, or of a path that is not followed. Raises OSError."""
    follow = isinstance(path, int)
    try:
        names = os.listxattr(path, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return {}
        raise
    found: dict[str, bytes] = {}
    size = 0
    for name in sorted(names):
        if name.startswith(KEPT):
            # Removed meanwhile.
            with suppress(OSError):
                found[name] = os.getxattr(path, name, follow_symlinks=follow)
                size += len(found[name])
        if size > MOST_XATTRS:
            raise OSError(errno.E2BIG, "it has more than 1 MiB of extended attributes")
    return found


def find_pieces(file: BinaryIO, state: os.stat_result) -> Pieces | None:
    """Where a sparse file has data; None: it has no holes."""
    if state.st_blocks * BLOCK >= state.st_size:
        return None
    pieces: Pieces = []
    end = 0
    while end < state.st_size and len(pieces) < MOST_PIECES:
        try:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = min(os.lseek(file.fileno(), begin, os.SEEK_HOLE), state.st_size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # A hole until the end.
            return None
        if begin < end:
            pieces.append((begin, end - begin))
    else:
        if end < state.st_size:
            begin = pieces[-1][0]
            pieces[-1] = (begin, state.st_size - begin)
    if pieces == [(0, state.st_size)]:
        return None
    # As GNU tar does: the end of the file, with no data.
    return [*pieces, (state.st_size, 0)]


def sparse_map(pieces: Pieces) -> bytes:
    """The map before the data, in whole blocks."""
    numbers = (len(pieces), *(number for piece in pieces for number in piece))
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text.ljust(blocks(len(text)), b"\0")


def blocks(length: int) -> int:
    """Rounded up to whole blocks."""
    return -(-length // BLOCK) * BLOCK


def _encoded(name: str) -> str:
    """= ends the key of a record, which is UTF-8: % and two digits, as GNU tar does."""
    return quote_from_bytes(os.fsencode(name), safe=SAFE)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


# All of ASCII that a name can have, but % and =.
SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "").replace("=", "")
