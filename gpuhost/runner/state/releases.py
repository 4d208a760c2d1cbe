"""The releases of an app in the order in which they began, and the current one.

Each gets a number when it begins. The time in its id is for people: a clock may have been ahead.
Functions raise OSError for what cannot be read: that may be temporary, and what they say decides
which releases are deleted.
"""

from __future__ import annotations

import errno
from pathlib import Path, PurePosixPath
from shlex import quote

from gpuhost.runner.contract import VERIFIED, AppPaths
from gpuhost.runner.lib.files import read_state_json

NO_LINK = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)


def in_order(app: AppPaths) -> list[str]:
    """The ids, the oldest first."""
    numbers = _numbers(app)
    return sorted(numbers, key=lambda id_: (numbers[id_], id_))


def next_number(app: AppPaths) -> int:
    return max(_numbers(app).values(), default=0) + 1


def linked_id(app: AppPaths) -> str:
    """The id that `current` points to; "": it is missing, or is not a link to a release."""
    target = link_target(app.current)
    return target.name if target.parent.name == app.releases.name else ""


def link_target(link: Path) -> PurePosixPath:
    """Without a name if it is no link."""
    try:
        return PurePosixPath(link.readlink())
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return PurePosixPath()


def current_id(app: AppPaths) -> str:
    """The last verified release, also if `current` is damaged; "": there is none."""
    linked = linked_id(app)
    if linked and app.release(linked).plan.exists():
        return linked
    verified = (id_ for id_ in reversed(in_order(app)) if _is_verified(app, id_))
    return next(verified, linked)


def deletion_advice(app: AppPaths, home: Path) -> str:
    """Of a release with a damaged file: what a person does. + home: of the release"""
    current = current_id(app)
    # {} of a damaged plan: it may be a rollback to any release.
    plan = read_state_json(app.release(current).plan)
    is_used = bool(current) and (not plan or home.name in (current, plan.get("rollback_of")))
    first = "release the app again; then, " if is_used else ""
    return f"{first}if nobody will roll back to that release: rm -r {quote(str(home))}"


def _numbers(app: AppPaths) -> dict[str, int]:
    """Id to number. Without one, of an older gpuhost, that of the release before it by id."""
    numbers, last = {}, 0
    for home in sorted(app.releases.glob("*")):
        if not home.name.startswith(".") and home.is_dir():
            last = numbers[home.name] = _number(home) or last
    return numbers


def _number(home: Path) -> int:
    number = read_state_json(home / "record.json").get("sequence")
    return number if type(number) is int and number > 0 else 0


def _is_verified(app: AppPaths, id_: str) -> bool:
    paths = app.release(id_)
    return paths.plan.exists() and read_state_json(paths.result).get("state") == VERIFIED
