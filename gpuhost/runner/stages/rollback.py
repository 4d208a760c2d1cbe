"""A previous release, activated again as a release of its own."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace

from gpuhost.runner.contract import VERIFIED, AppPaths
from gpuhost.runner.lib.files import write, write_json
from gpuhost.runner.plan import load
from gpuhost.runner.state.release import Record, read_record
from gpuhost.runner.state.results import read

COPIED = ("compose.yaml", "compose.override.yaml", "nginx.conf", "given.json")


class NoTarget(ValueError):
    """No verified release has this id."""


def prepare(app: AppPaths, new_id: str, to: str, by: str) -> None:
    """The directory of a rollback, a copy of the release it activates again.

    + to: that release

    Raises NoTarget, or BadPlan.
    """
    target = app.release(to)
    result = read(target.result)
    if result is None or result.state != VERIFIED:
        known = ", ".join(verified_releases(app)) or "none"
        raise NoTarget(f"{to} is not a verified release of this app; known: {known}")
    paths = app.release(new_id)
    beside = paths.home.with_name(f".{new_id}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    for name in COPIED:
        if (target.home / name).exists():
            shutil.copy2(target.home / name, beside / name)
    # What else is recorded was the other's own doing.
    its = read_record(target.record)
    write_json(beside / "record.json", asdict(Record(images=its.images, tags=its.tags)))
    old = load(target.plan)
    plan = replace(old, id=new_id, by=by, rollback_of=old.rollback_of or old.id)
    write(beside / "plan.json", plan.text())
    beside.rename(paths.home)


def verified_releases(app: AppPaths) -> list[str]:
    """Releases that were once verified, the oldest first."""
    homes = sorted(path for path in app.releases.glob("*") if not path.name.startswith("."))
    results = ((path.name, read(path / "result.json")) for path in homes)
    return [name for name, result in results if result and result.state == VERIFIED]
