"""A release of before, put in place again as an attempt of its own."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace

from gpuhost.runner.contract import VERIFIED, AppPaths
from gpuhost.runner.lib.files import write, write_json
from gpuhost.runner.plan import load
from gpuhost.runner.state.release import Record, recorded
from gpuhost.runner.state.results import read

COPIED = ("compose.yaml", "compose.override.yaml", "nginx.conf", "given.json")


class NoTarget(ValueError):
    """There is nothing to go back to."""


def prepare(app: AppPaths, new_id: str, to: str, by: str) -> None:
    """The directory of a rollback, a copy of the release it brings back.

    + to: that release

    Raises NoTarget, or BadPlan.
    """
    target = app.release(to)
    found = read(target.result)
    if found is None or found.state != VERIFIED:
        known = ", ".join(verified(app)) or "none"
        raise NoTarget(f"{to} is no verified release of this app; there are: {known}")
    paths = app.release(new_id)
    beside = paths.home.with_name(f".{new_id}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    for name in COPIED:
        if (target.home / name).exists():
            shutil.copy2(target.home / name, beside / name)
    # What else is recorded was the other's own doing.
    its = recorded(target.record)
    write_json(beside / "record.json", asdict(Record(images=its.images, tags=its.tags)))
    old = load(target.plan)
    plan = replace(old, id=new_id, by=by, rollback_of=old.rollback_of or old.id)
    write(beside / "plan.json", plan.text())
    beside.rename(paths.home)


def verified(app: AppPaths) -> list[str]:
    """Releases that were once seen good, the oldest first."""
    homes = sorted(path for path in app.releases.glob("*") if not path.name.startswith("."))
    results = ((path.name, read(path / "result.json")) for path in homes)
    return [name for name, found in results if found and found.state == VERIFIED]
