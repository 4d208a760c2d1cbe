"""Files and file systems as the host has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from gpuhost.snapshot.probes import NotRead, Probes


@dataclass(frozen=True)
class PathState:
    """One path: mode as four octal digits, size in bytes, time of last change in epoch seconds."""

    path: str
    mode: str
    owner: str
    group: str
    size: int
    modified: int
    kind: str
    sha256: str | None = None


@dataclass(frozen=True)
class Disk:
    """The file system under a directory. Sizes in bytes; no inode numbers on btrfs and the like."""

    source: str
    fstype: str
    size: int
    free: int
    inodes: int | None
    inodes_free: int | None
    mounted_on: str
    read_only: bool


@dataclass(frozen=True)
class Paths:
    """Every path that the reading was asked about."""

    known: dict[str, PathState]

    def get(self, path: str) -> PathState | None:
        """The path's state; None if it is not there."""
        return self.known.get(path)

    @classmethod
    def read(cls, probes: Probes) -> Paths:
        known: dict[str, PathState] = {}
        hashes = _hashes(probes)
        for name in ("stat", "paths"):
            if name not in probes:
                continue
            probe = probes.get(name)
            if probe.rc is None:
                raise NotRead(f"{name}: timed out")
            for line in probe.out.splitlines():
                state = _path_state(line, hashes)
                if state:
                    known[state.path] = state
        return cls(known)


def _hashes(probes: Probes) -> dict[str, str]:
    if "hashes" not in probes:
        return {}
    pairs = (line.partition("  ") for line in probes.get("hashes").out.splitlines())
    return {path: digest for digest, _, path in pairs}


def _path_state(line: str, hashes: dict[str, str]) -> PathState | None:
    # mode owner group size mtime kind-of-several-words /path
    head, slash, tail = line.partition(" /")
    words = head.split(" ", 5)
    if not slash or len(words) < 6 or not (words[3].isdigit() and words[4].isdigit()):
        return None
    mode, owner, group, size, modified, kind = words
    path = f"/{tail}"
    return PathState(
        path, mode.zfill(4), owner, group, int(size), int(modified), kind, hashes.get(path)
    )


@dataclass(frozen=True)
class Disks:
    """File systems by the directories that were asked about."""

    by_directory: dict[str, Disk]

    def under(self, path: str) -> Disk:
        """The file system that holds a path, or would hold it.

        Raises NotRead if `df` could not tell.
        """
        candidate = PurePosixPath(path)
        for directory in (candidate, *candidate.parents):
            if str(directory) in self.by_directory:
                return self.by_directory[str(directory)]
        raise NotRead(f"the file system under {path} could not be read")

    @classmethod
    def read(cls, probes: Probes) -> Disks:
        probe = probes.get("disks")
        if probe.rc is None:
            raise NotRead("df timed out: a file system hangs")
        read_only = _read_only_mounts(probes.file("/proc/self/mountinfo") or "")
        disks: dict[str, Disk] = {}
        for line in probe.out.splitlines()[1:]:
            words = line.split()
            if len(words) == 8 and words[3].isdigit() and words[4].isdigit():
                directory, source, fstype, size, free, inodes, inodes_free, target = words
                disks[directory] = Disk(
                    source,
                    fstype,
                    int(size),
                    int(free),
                    _count(inodes),
                    _count(inodes_free),
                    target,
                    target in read_only,
                )
        return cls(disks)


def _count(word: str) -> int | None:
    return int(word) if word.isdigit() and word != "0" else None


def _read_only_mounts(mountinfo: str) -> frozenset[str]:
    mounts = (line.split() for line in mountinfo.splitlines())
    return frozenset(words[4] for words in mounts if len(words) > 5 and "ro" in words[5].split(","))


def ancestry(path: str) -> frozenset[str]:
    """A path and all its parents: `df` answers for those of them that exist."""
    return frozenset({path, *(str(parent) for parent in PurePosixPath(path).parents)})
