"""Files and images of older releases are removed, except what a rollback needs.

Only directories of releases, and local tags gpuhost/APP/… that no kept release refers to. Never a
volume, never shared/ or backups/, never what others use.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpuhost.runner.building import capacity
from gpuhost.runner.contract import VERIFIED, ReleasePaths
from gpuhost.runner.docker import images
from gpuhost.runner.git import checkout
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.lib.sizes import format_size
from gpuhost.runner.plan import BadPlan, Plan, load
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Release

# What is not of this shape is not a release's directory.
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
SECONDS = 300


@dataclass(frozen=True)
class Kept:
    """A release: its id, the one whose files it stands for (a rollback's is another), its end."""

    id: str
    original: str
    is_verified: bool


def prune(release: Release) -> None:
    """Remove releases beyond plan.keep_releases, and their images; what is freed is in the log."""
    releases = _found(release)
    kept = kept_ids(releases, release.app.current.resolve().name, release.plan.keep_releases)
    directories = capacity.image_directories()
    free_before = capacity.free(directories)
    gone = [one.id for one in releases if one.id not in kept]
    for each in gone:
        shutil.rmtree(release.app.release(each).home)
    untagged = untag(release, kept)
    checkout.forget(release, _commits(release, kept))
    freed = max(capacity.free(directories) - free_before, 0)
    release.log.write(
        f"kept {len(kept)} releases; removed {_listed(gone)}; untagged {_listed(untagged)}; "
        f"{format_size(freed)} of images freed"
    )


def trim(release: Release) -> None:
    """After a failed release: remove the sources and images of older failed ones.

    Their logs and results stay, until a good release removes them.
    """
    releases, keep = _found(release), release.plan.keep_releases
    current = release.app.current.resolve().name if release.app.current.exists() else ""
    spent = spent_ids(releases, current, keep)
    emptied = [each for each in spent if _empty(release.app.release(each))]
    if not emptied:
        return
    kept = {one.id for one in releases} - set(spent)
    untagged = untag(release, kept)
    checkout.forget(release, _commits(release, kept))
    release.log.write(
        f"of failed releases only the last {keep} keep their source: removed "
        f"{_listed(emptied)}; untagged {_listed(untagged)}"
    )


def spent_ids(releases: Sequence[Kept], current: str, keep: int) -> list[str]:
    """Failed releases, except the last ones and those that a rollback uses.

    + releases: the oldest first
    + current: the id of the one that runs; "": none
    """
    failed = [one.id for one in releases if not one.is_verified and one.id != current]
    stood_for = {one.original for one in releases if one.original != one.id}
    return [each for each in failed[:-keep] if each not in stood_for]


def _empty(paths: ReleasePaths) -> bool:
    """Take the source away; whether there was any."""
    sources = [path for path in (paths.source, paths.unfinished, paths.archive) if path.exists()]
    for path in sources:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return bool(sources)


def kept_ids(releases: Sequence[Kept], current: str, keep: int) -> set[str]:
    """The releases that stay.

    The last verified ones, the current and the one before it always; the files that a rollback
    among them stands for; the last failed releases, for their logs.

    + releases: the oldest first
    + current: the id of the one that runs
    """
    verified = [one for one in releases if one.is_verified or one.id == current]
    failed = [one for one in releases if one not in verified]
    kept = [*verified[-keep:], *failed[-keep:]]
    running = next((one for one in releases if one.id == current), None)
    if running:
        kept.append(running)
        others = [one for one in verified if one.original != running.original]
        before = [one for one in others if one.id < current] or others
        kept += before[-1:]
    return {name for one in kept for name in (one.id, one.original)}


def _found(release: Release) -> list[Kept]:
    homes = sorted(path for path in release.app.releases.iterdir() if ID.fullmatch(path.name))
    return [_kept(release, path.name) for path in homes if path.is_dir()]


def _kept(release: Release, name: str) -> Kept:
    paths = release.app.release(name)
    plan, ended = _plan(release, name), results.read(paths.result)
    is_verified = ended is not None and ended.state == VERIFIED
    original = (plan.rollback_of if plan else None) or name
    return Kept(name, original, is_verified)


def _plan(release: Release, name: str) -> Plan | None:
    try:
        return load(release.app.release(name).plan)
    except BadPlan:
        # Of a runner before this one, or never whole.
        return None


def untag(release: Release, kept: Iterable[str]) -> list[str]:
    """Remove local tags that no kept release has; an image that a container runs keeps its own."""
    reference = f"{images.OURS}/{release.plan.app}/*"
    words = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter")
    listed = try_run(NOWHERE, "docker", *words, f"reference={reference}", seconds=60, quiet=True)
    try:
        needed = {tag for each in kept for tag in _tags(release, each)}
    except (OSError, ValueError) as error:
        release.log.write(f"no image is untagged: a kept release's record is not readable, {error}")
        return []
    untagged = []
    for tag in sorted(set(listed.out.split()) - needed):
        removed = try_run(NOWHERE, "docker", "image", "rm", tag, seconds=SECONDS, quiet=True)
        if removed.ok:
            untagged.append(tag)
        else:
            release.log.write(f"{tag} stays: {' '.join(removed.tail[-1:])}")
    return untagged


def _tags(release: Release, name: str) -> Iterable[str]:
    """Raises ValueError or OSError: then it is not known what the release needs."""
    path = release.app.release(name).record
    if not path.exists():
        # It failed before it had any.
        return ()
    record = json.loads(path.read_text(encoding="utf-8"))
    tags = record.get("tags", {}) if isinstance(record, dict) else None
    if not isinstance(tags, dict):
        raise ValueError(f"{path} is not a record")
    return [str(tag) for tag in tags.values()]


def _commits(release: Release, kept: Iterable[str]) -> set[str]:
    plans = (_plan(release, name) for name in kept)
    return {plan.source.revision for plan in plans if plan and plan.source}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
