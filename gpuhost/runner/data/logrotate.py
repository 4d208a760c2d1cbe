"""Rotates log files of an app with the host's logrotate.

logrotate runs as the owner of the directory, so that links of the app cannot make root write
elsewhere. logrotate needs a name for each owner, and users of containers rarely have one on the
host: for its unit alone, a file with such names is mounted over /etc/passwd.
"""

from __future__ import annotations

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
    """The files for logrotate, name to text; empty if nothing is rotated.

    Raises Failure.
    """
    logs = release.plan.logs
    by_owner: dict[Owner, list[str]] = {}
    for pattern in logs.files:
        by_owner.setdefault(_owner(release, pattern), []).append(_quoted(release, pattern))
    if not by_owner:
        return {}
    owners = sorted(by_owner, key=lambda owner: (owner.uid, owner.gid))
    blocks = (
        BLOCK.format(
            files=" ".join(sorted(by_owner[owner])),
            size=logs.max_size_mb,
            keep=logs.keep,
            owner=f"{_user_name(owner.uid)} {_user_name(owner.gid)}",
        )
        for owner in owners
    )
    users = {0: 0, **{owner.uid: owner.gid for owner in owners}}
    groups = sorted({0, *(owner.gid for owner in owners)})
    return {
        "conf": f"# Logs of {release.plan.app}; its releases write this file.\n" + "".join(blocks),
        "passwd": "".join(
            USER.format(name=_user_name(uid), uid=uid, gid=gid)
            for uid, gid in sorted(users.items())
        ),
        "group": "".join(GROUP.format(name=_user_name(gid), gid=gid) for gid in groups),
    }


def _user_name(number: int) -> str:
    return f"app{number}" if number else "root"


def _quoted(release: Release, pattern: str) -> str:
    path = str(locate(release, pattern))
    if any(character in path for character in '"\\\n'):
        raise Failure(f"logs: {pattern}: quotes, backslashes and line ends are not allowed")
    return f'"{path}"'


def _owner(release: Release, pattern: str) -> Owner:
    """The owner of the directory of the files, or of its nearest existing parent."""
    directory = locate(release, _without_wildcards(pattern))
    while True:
        try:
            with open_directory(release, str(directory)) as handle:
                state = handle.state()
                return Owner(state.st_uid, state.st_gid)
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
