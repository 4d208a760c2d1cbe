"""Prepares a rollback: a new release that activates an earlier one again."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, replace

from gpuhost.runner.contract import VERIFIED, AppPaths
from gpuhost.runner.lib.files import clear, write, write_json
from gpuhost.runner.plan import BadPlan, load
from gpuhost.runner.state.release import Record, read_record
from gpuhost.runner.state.releases import in_order
from gpuhost.runner.state.results import read

COPIED = (
    *("compose.yaml", "compose.override.yaml", "nginx.conf", "given.json"),
    *("resolved.json", "variables.env", "run.env"),
)


class NoTarget(ValueError):
    """No verified release has this id."""


def prepare(app: AppPaths, new_id: str, to: str, by: str) -> None:
    """Create the directory of a rollback, as a copy of its target.

    + to: the id of the target

    Raises NoTarget, or BadPlan.
    """
    target = app.release(to)
    result = read(target.result)
    if result is None or result.state != VERIFIED:
        known = ", ".join(verified_ids(app))
        step = f"roll back to one of these: {known}" if known else "release the app first"
        raise NoTarget(f"{to} is not a verified release of this app\n-> {step}")
    # Without its record its images would not be pinned.
    for path in (target.home / "compose.yaml", target.record):
        if not path.exists():
            raise BadPlan(f"{path} is missing; release the app again")
    paths = app.release(new_id)
    temporary = paths.home.with_name(f".{new_id}.new")
    clear(temporary)
    temporary.mkdir(mode=0o700, parents=True)
    for name in COPIED:
        source = target.home / name
        if source.is_file():
            shutil.copy2(source, temporary / name)
        elif os.path.lexists(source):  # a copy of a pipe or a device would never end
            raise BadPlan(f"{source} is damaged: not a regular file; release the app again")
    # The other facts belong to the target only.
    record = read_record(target.record)
    write_json(temporary / "record.json", asdict(Record(images=record.images, tags=record.tags)))
    old = load(target.plan)
    plan = replace(old, id=new_id, by=by, rollback_of=old.rollback_of or old.id)
    write(temporary / "plan.json", plan.text())
    temporary.rename(paths.home)


def verified_ids(app: AppPaths) -> list[str]:
    """Verified releases, the oldest first."""
    results = ((name, read(app.release(name).result)) for name in in_order(app))
    return [name for name, result in results if result and result.state == VERIFIED]
