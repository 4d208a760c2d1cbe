"""The way to the host and back: one script on stdin, one tar home.

The script is 10 KB and more: as an argument it would be cut, and under sudo each reading would be
written to the journal. On stdin it is neither.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from shlex import quote

from gpuhost.snapshot.probes import Probe, Probes

APPS = "/opt/gpuhost"
PATIENCE = 60
# Of a tar: its unit of length, and the type of a file.
BLOCK, REGULAR = 512, b"0"
# Root reads as itself; anyone else through sudo if it needs no password, else as far as it goes.
ELEVATED_SHELL = (
    'if [ "$(id -u)" = 0 ]; then exec sh; '
    "elif sudo -n true 2>/dev/null; then "
    'exec sudo -n env SSH_CONNECTION="$SSH_CONNECTION" sh; '
    "else exec sh; fi"
)


class BadReply(ValueError):
    """The host's reply is cut short or is not a reply."""


@dataclass(frozen=True)
class Request:
    """The paths that one reading looks at.

    + managed: configuration files: owner, mode and hash
    + plain: other paths: owner and mode
    + directories: where the free space matters
    + swap_files: whether what is there is swap
    """

    managed: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()
    swap_files: frozenset[str] = frozenset()

    def __or__(self, other: Request) -> Request:
        return Request(
            self.managed | other.managed,
            self.plain | other.plain,
            self.directories | other.directories,
            self.swap_files | other.swap_files,
        )

    def covers(self, other: Request) -> bool:
        return (self | other) == self


@cache
def _source(name: str) -> str:
    return files("gpuhost.snapshot").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def script(request: Request, patience: int = PATIENCE) -> str:
    """The collector with the paths of interest, as a POSIX shell reads it from stdin.

    + patience: seconds for what may take long, nvidia-smi on many cards; all else takes less
    """
    lists = {
        "managed_files": request.managed,
        "plain_paths": request.plain,
        "directories": request.directories | {"/"},
        "swap_files": request.swap_files,
    }
    functions = "\n".join(_with_paths(name, paths) for name, paths in lists.items())
    head = f"{_source('collector.sh')}\n{functions}\n{_apps()}"
    return f"{head}\npatience={patience}\nmain </dev/null\n"


def _apps() -> str:
    """`apps SECONDS` runs the probe that reads the apps' own files."""
    program = quote(_source("apps_on_host.py"))
    return f'apps() {{ probe apps "$1" python3 -I -S -c {program} {APPS}; }}'


def _with_paths(function: str, paths: Iterable[str]) -> str:
    """`managed_files NAME SECONDS COMMAND…` runs the probe with the paths as its last arguments."""
    arguments = " ".join(quote(path) for path in sorted(paths))
    if not arguments:
        return f"{function}() {{ :; }}"
    return f'{function}() {{ probe "$@" -- {arguments}; }}'


def decode(reply: Iterable[str]) -> Probes:
    """Unpack what the collector printed.

    Raises BadReply if it is cut short, not ours, or empty.
    """
    try:
        packed = base64.b64decode("".join(line.strip() for line in reply), validate=True)
        # Unpacked as a whole first: the checksum at its end is what tells a cut reply.
        texts = dict(_members(gzip.decompress(packed)))
    except (zlib.error, EOFError, OSError, ValueError) as error:
        raise BadReply(f"the host's reply is not whole: {error}") from error
    names = sorted(name[:-3] for name in texts if name.endswith(".rc"))
    if not names:
        raise BadReply("the host's reply is not whole: nothing is in it")
    return Probes({name: _probe(texts, name) for name in names})


def _members(archive: bytes) -> Iterator[tuple[str, str]]:
    """Names and texts of a tar's files. tarfile takes longer than all checks of a host together.

    Where a name, a size and a type stand: POSIX, pax, "ustar Interchange Format".
    """
    place = 0
    while archive[place : place + 1].strip(b"\0"):
        head = archive[place : place + BLOCK]
        size = int(head[124:136].strip(b" \0") or b"-1", 8)
        if head[257:262] != b"ustar" or size < 0:
            raise ValueError("it is no tar")
        place += BLOCK
        if head[156:157] == REGULAR:
            name = head[:100].rstrip(b"\0").decode("utf-8", "replace")
            text = archive[place : place + size].decode("utf-8", "replace")
            yield name.removeprefix("./"), text
        place += -(-size // BLOCK) * BLOCK


def _probe(texts: dict[str, str], name: str) -> Probe:
    status = texts[f"{name}.rc"].strip()
    # 124 and 137 are what `timeout` itself says of a command that it ended.
    ended = status.isdecimal() and int(status) not in (124, 137)
    return Probe(
        int(status) if ended else None, texts.get(f"{name}.out", ""), texts.get(f"{name}.err", "")
    )
