"""Sends the collector's script to the host, and unpacks its reply.

The script is more than 20 KB. It is sent on stdin: as an argument it could be cut, and sudo would
log it. The reply is one tar, compressed and in base64.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterable, Iterator

from gpuhost.domain.sizes import MB
from gpuhost.snapshot.probes import Probe, Probes

# What a reply may unpack to: a host with a thousand mounts and three thousand packages sends a
# twentieth of it.
MAX_UNPACKED = 32 * MB
# Of one probe. An engine that publishes every port of a host is a quarter of the lines.
MAX_TEXT, MAX_LINES = 8 * MB, 500_000
# The head of every gzip file, in base64.
START = "H4sI"
GZIP = 16 + zlib.MAX_WBITS
# As a shell writes it; nothing, if the probe did not end.
STATUS = re.compile(r"[0-9]{0,3}")
# Of a tar: its unit of length, and the type of a file.
BLOCK, REGULAR = 512, b"0"
# Name, size, type and "ustar": POSIX, pax, "ustar Interchange Format".
_HEAD = struct.Struct("100s24x12s20xc100x5s250x")
# Root runs the script as it is; others use sudo if it needs no password, else their own rights.
ELEVATED_SHELL = (
    'if [ "$(id -u)" = 0 ]; then exec sh; '
    "elif SUDO_REFUSAL=$(LC_ALL=C sudo -n true 2>&1); then "
    'exec sudo -n env SSH_CONNECTION="$SSH_CONNECTION" sh; '
    "else export SUDO_REFUSAL; exec sh; fi"
)


class BadReply(ValueError):
    """The host's reply is incomplete, or it is not a reply of the collector."""


class TooLarge(BadReply):
    """The reply unpacks to more than is read."""


def decode(reply: Iterable[str]) -> Probes:
    """Unpack the reply of the collector.

    Raises BadReply if it is incomplete, foreign or empty.
    """
    try:
        packed = base64.b64decode(_reply(reply), validate=True)
        # Unpack the whole first: only the checksum at the end shows that the reply was cut.
        texts = dict(_members(_unpack(packed)))
        names = sorted(name[:-3] for name in texts if name.endswith(".rc"))
        probes = {name: _probe(texts, name) for name in names}
    except TooLarge:
        raise
    except (zlib.error, struct.error, EOFError, OSError, ValueError) as error:
        raise BadReply(f"the host's reply is incomplete: {error}") from error
    if not probes:
        raise BadReply("the host's reply is incomplete: it holds no probe")
    return Probes(probes)


def _reply(lines: Iterable[str]) -> str:
    """Without what the login shell prints first: a shell reads ~/.bashrc also for one command."""
    printed = "".join(map(str.strip, lines))
    _, start, rest = printed.partition(START)
    return start + rest or printed


def _unpack(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(GZIP)
    archive = unpacking.decompress(packed, MAX_UNPACKED)
    if unpacking.eof:
        return archive
    if len(archive) < MAX_UNPACKED:
        raise EOFError("it ends too early")
    raise TooLarge(f"the host's reply unpacks to more than {MAX_UNPACKED // MB} MB")


def _members(archive: bytes) -> Iterator[tuple[str, str]]:
    """Names and texts of a tar's files. tarfile takes longer than all checks of a host."""
    offset = 0
    while archive[offset : offset + 1].strip(b"\0"):
        name, size, kind, magic = _HEAD.unpack_from(archive, offset)
        length = int(size.strip(b" \0") or b"-1", 8)
        if magic != b"ustar" or length < 0:
            raise ValueError("not a tar")
        offset += BLOCK
        if kind == REGULAR:
            text = archive[offset : offset + length].decode("utf-8", "replace")
            yield name.rstrip(b"\0").decode("utf-8", "replace").removeprefix("./"), text
        offset += -(-length // BLOCK) * BLOCK


def _probe(texts: dict[str, str], name: str) -> Probe:
    status = texts[f"{name}.rc"].strip()
    if not STATUS.fullmatch(status):
        raise ValueError("no exit status")
    out, err = texts.get(f"{name}.out", ""), texts.get(f"{name}.err", "")
    if any(len(text) > MAX_TEXT or text.count("\n") > MAX_LINES for text in (out, err)):
        most = f"{MAX_TEXT // MB} MB or {MAX_LINES} lines"
        raise TooLarge(f"one probe in the host's reply has more than {most}: {name[:20]!a}")
    # The exit statuses of `timeout` for a command that it ended.
    ended = status not in ("", "124", "137")
    return Probe(int(status) if ended else None, out, err)
