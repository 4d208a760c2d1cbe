"""A path of a backup that is a mount point, or has one in it: renaming cannot exchange it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from shlex import join, quote

from gpuhost.runner.data.stored import Item
from gpuhost.runner.lib.directory_handle import DirectoryHandle, mount_of
from gpuhost.runner.lib.failure import Failure

MOUNTS = Path("/proc/self/mountinfo")
# As the kernel writes blanks, tabs, line ends and backslashes.
ESCAPED = re.compile(r"\\([0-7]{3})")


def require_renamable(
    parent: DirectoryHandle, name: str, item: Item, home: Path, databases: Mapping[Path, Item]
) -> None:
    """Raises Failure, with the way to restore it by hand.

    + parent, name: where the item is restored
    + home: of the backup
    + databases: those in the item's directory, by their paths in it
    """
    state = parent.look(name)
    if state is None:
        return
    target = parent.path / name
    if not parent.is_mount_point(name):
        _require_none_inside(target)
        return
    how, command = _by_hand(target, item.kind, str(home / item.file), stat.S_ISDIR(state.st_mode))
    commands = (command, *(_put(home, one, target / path) for path, one in databases.items()))
    raise Failure(
        f"{target} is a mount point, which cannot be renamed",
        fix=f"stop the app (By hand, in docs/restore.md of gpuhost), {how}, then run "
        f"{' && '.join(commands)}",
    )


def _by_hand(target: Path, kind: str, file: str, is_directory: bool) -> tuple[str, str]:
    """What to do before, and the command."""
    if kind == "sqlite":
        how = f"move {target}-* to another directory, copy {target} there"
        return how, join(["cp", file, str(target)])
    if is_directory:
        options = "--strip-components=1 --xattrs --xattrs-include='*'"
        how = f"move what is in {target} to another directory"
        return how, f"tar {options} {join(['-C', str(target), '-xpzf', file])}"
    how = f"copy {target} to another directory"
    return how, f"{join(['tar', '-xzOf', file])} >{quote(str(target))}"


def _put(home: Path, item: Item, target: Path) -> str:
    """The command that copies a database of a backup, with its owner and mode."""
    owner = ("-o", str(item.uid), "-g", str(item.gid), "-m", f"{item.mode:o}")
    return join(["install", *owner, str(home / item.file), str(target)])


def _require_none_inside(target: Path) -> None:
    for mounted in mount_points({target}):
        raise Failure(
            f"{mounted} is a mount point: it would be moved away with {target}",
            fix=f"take {mounted} out of /etc/fstab, or disable its unit: else the next boot "
            "mounts it over what is restored; then "
            f"run umount {quote(str(mounted))}, and restore again: what the backup has of "
            f"it is then restored to the disk of {target}",
        )


def mount_points(within: Set[Path]) -> Iterator[Path]:
    """Real paths of those in these directories, without those that are under another mount.

    Others are not opened: a server of files that does not answer would block the runner.
    """
    # A path may have any other line end, such as \r: the kernel escapes \n only.
    for line in MOUNTS.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n").split("\n"):
        words = line.split(" ")
        path = ESCAPED.sub(lambda match: chr(int(match[1], 8)), words[4])
        if not within.isdisjoint(Path(path).parents) and _is_reached(path, int(words[0])):
            yield Path(path)


def _is_reached(path: str, mount: int) -> bool:
    try:
        number = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # Unknown.
    try:
        return mount_of(number) == mount
    finally:
        os.close(number)
