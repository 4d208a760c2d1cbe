"""Log files that an app writes into its directories, rotated by the host's logrotate.

It works as the owner of the directory, so that what the app puts there cannot make root write
elsewhere. logrotate takes only owners that have a name, and those of containers rarely have one on
the host: it is given a list of users of its own, which lies over /etc/passwd for its unit alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from gpuhost.runner.data.directories import Owner
from gpuhost.runner.data.safe_paths import locate, open_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release

WILD = frozenset("*?[")
PROGRAM = Path("/usr/sbin/logrotate")

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
USER = "{name}:x:{uid}:{gid}::/:/usr/sbin/nologin\n"
GROUP = "{name}:x:{gid}:\n"


def files(release: Release) -> dict[str, str]:
    """What logrotate reads, name to text; nothing if nothing is rotated.

    Raises Failure.
    """
    logs = release.plan.logs
    by_owner: dict[Owner, list[str]] = {}
    for pattern in logs.files:
        by_owner.setdefault(_owner(release, pattern), []).append(_quoted(release, pattern))
    if not by_owner:
        return {}
    owners = sorted(by_owner, key=lambda one: (one.uid, one.gid))
    blocks = (
        BLOCK.format(
            files=" ".join(sorted(by_owner[one])),
            size=logs.max_size_mb,
            keep=logs.keep,
            owner=f"{_named(one.uid)} {_named(one.gid)}",
        )
        for one in owners
    )
    users = {0: 0, **{one.uid: one.gid for one in owners}}
    groups = sorted({0, *(one.gid for one in owners)})
    return {
        "conf": f"# Logs of {release.plan.app}; its releases write this file.\n" + "".join(blocks),
        "passwd": "".join(
            USER.format(name=_named(uid), uid=uid, gid=gid) for uid, gid in sorted(users.items())
        ),
        "group": "".join(GROUP.format(name=_named(gid), gid=gid) for gid in groups),
    }


def _named(number: int) -> str:
    return f"app{number}" if number else "root"


def _quoted(release: Release, pattern: str) -> str:
    path = str(locate(release, pattern))
    if any(character in path for character in '"\\\n'):
        raise Failure(f"logs: {pattern}: no quotes, backslashes or line ends in it")
    return f'"{path}"'


def _owner(release: Release, pattern: str) -> Owner:
    """Of the directory that the files are in, or of the one that it will be made in."""
    directory = locate(release, _without_wildcards(pattern))
    while True:
        try:
            with open_directory(release, str(directory)) as handle:
                its = os.fstat(handle)
                return Owner(its.st_uid, its.st_gid)
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
