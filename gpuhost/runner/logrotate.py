"""Log files that an app writes into its directories, rotated by the host's logrotate."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhost.runner.failure import Failure
from gpuhost.runner.places import located, opened
from gpuhost.runner.release import Release

WILD = frozenset("*?[")
PROGRAM = "/usr/sbin/logrotate"

# copytruncate: the app keeps its file open. nodateext: more than one rotation a day.
BLOCK = """\
{files} {{
    daily
    maxsize {size}M
    rotate {keep}
    nodateext
    copytruncate
    missingok
    notifempty
    compress
    su {owner}
}}
"""


def text(release: Release) -> str:
    """The configuration, "" if nothing is rotated.

    Files of one owner are one block: logrotate works as the owner of the directory, so that what
    the app puts there cannot make root write elsewhere.
    """
    logs = release.plan.logs
    by_owner: dict[str, list[str]] = {}
    for pattern in logs.files:
        by_owner.setdefault(_owner(release, pattern), []).append(_quoted(release, pattern))
    if not by_owner:
        return ""
    blocks = (
        BLOCK.format(
            files=" ".join(sorted(files)), size=logs.max_size_mb, keep=logs.keep, owner=owner
        )
        for owner, files in sorted(by_owner.items())
    )
    return f"# Logs of {release.plan.app}; its releases write this file.\n" + "".join(blocks)


def _quoted(release: Release, pattern: str) -> str:
    path = str(located(release, pattern))
    if any(character in path for character in '"\\\n'):
        raise Failure(f"logs: {pattern}: no quotes, backslashes or line ends in it")
    return f'"{path}"'


def _owner(release: Release, pattern: str) -> str:
    """Of the directory that the files are in, or of the one that it will be made in."""
    directory = located(release, _without_wildcards(pattern))
    while True:
        try:
            with opened(release, str(directory)) as handle:
                its = os.fstat(handle)
                return f"{its.st_uid} {its.st_gid}"
        except OSError:
            if directory == directory.parent:
                raise
            directory = directory.parent


def _without_wildcards(pattern: str) -> str:
    kept: list[str] = []
    for part in Path(pattern).parent.parts:
        if WILD & set(part):
            break
        kept.append(part)
    return str(Path(*kept)) if kept else "."
