"""Removes files and images of old releases, except those that a rollback needs.

It removes only directories of releases, and local tags gpuhost/APP/… that no kept release uses;
never a volume, shared/ or backups/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuhost.runner.building import capacity
from gpuhost.runner.contract import NOT_THERE, ReleasePaths
from gpuhost.runner.docker import images
from gpuhost.runner.git import checkout
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, load_json
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.lib.sizes import format_size
from gpuhost.runner.resolved import project_files
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id, deletion_advice, in_order

# Other directories are not releases.
RELEASE_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
SECONDS = 300
REMOVED = ".old"


@dataclass(frozen=True)
class Existing:
    """A release on this host.

    + original: the release whose files it uses; for a rollback another one
    + is_verified: None: its result is damaged. It is kept, and does not count
    """

    id: str
    original: str
    is_verified: bool | None


def prune(release: Release) -> None:
    """Remove releases beyond plan.keep_releases, and their images."""
    releases = _existing_releases(release)
    kept = kept_ids(releases, current_id(release.app), release.plan.keep_releases)
    directories = capacity.image_directories()
    free_before = capacity.free(directories)
    removed = [r.id for r in releases if r.id not in kept]
    for id_ in removed:
        remove_whole(release.app.release(id_).home)
    for left in release.app.releases.glob(f".*{REMOVED}"):
        clear(left)
    untagged = untag(release, kept)
    checkout.forget(release, _commits(release, kept))
    project_files.forget(release.app, kept)
    freed = max(capacity.free(directories) - free_before, 0)
    release.log.write(
        f"kept {len(kept)} releases; removed {_listed(removed)}; untagged {_listed(untagged)}; "
        f"{format_size(freed)} of images freed"
    )


def trim(release: Release) -> None:
    """After a failed release: remove the sources and images of older failed ones.

    The next good release removes their logs and results.
    """
    releases, keep = _existing_releases(release), release.plan.keep_releases
    old = old_failed_ids(releases, current_id(release.app), keep)
    emptied = [id_ for id_ in old if _remove_source(release.app.release(id_))]
    if not emptied:
        return
    kept = {r.id for r in releases} - set(old)
    untagged = untag(release, kept)
    checkout.forget(release, _commits(release, kept))
    project_files.forget(release.app, kept)
    release.log.write(
        f"sources of failed releases, except the last {keep}: removed "
        f"{_listed(emptied)}; untagged {_listed(untagged)}"
    )


def remove_whole(home: Path) -> None:
    """Remove a directory in releases/. Renamed first: half a release must not look like one."""
    if not home.name.startswith("."):
        home = home.rename(home.with_name(f".{home.name}{REMOVED}"))
    clear(home)


def old_failed_ids(releases: Sequence[Existing], current: str, keep: int) -> list[str]:
    """Failed releases, except the last ones and those that a rollback uses.

    + releases: the oldest first
    + current: the id of the current release; "": none
    """
    failed = [r.id for r in releases if r.is_verified is False and r.id != current]
    originals = {r.original for r in releases if r.original != r.id}
    return [id_ for id_ in failed[:-keep] if id_ not in originals]


def _remove_source(paths: ReleasePaths) -> bool:
    """Whether there was a source."""
    made = (paths.source, paths.new_source, paths.unpacked_overlay)
    sources = [path for path in (*made, paths.archive, paths.overlay) if path.exists()]
    for path in sources:
        clear(path)
    return bool(sources)


def kept_ids(releases: Sequence[Existing], current: str, keep: int) -> set[str]:
    """The releases to keep.

    These are the last verified ones, always the current and the one before it; the originals of
    rollbacks among them; the last failed releases, for their logs; those of which nobody knows.

    + releases: the oldest first
    + current: the id of the current release
    """
    verified = [r for r in releases if r.is_verified or r.id == current]
    unknown = [r for r in releases if r.is_verified is None]
    failed = [r for r in releases if r not in (*verified, *unknown)]
    kept = [*unknown, *verified[-keep:], *failed[-keep:]]
    running = next((r for r in releases if r.id == current), None)
    if running:
        kept.append(running)
        others = [r for r in verified if r.original != running.original]
        began = [r.id for r in releases].index(current)
        before = [r for r in others if r in releases[:began]] or others
        kept += before[-1:]
    return {id_ for r in kept for id_ in (r.id, r.original)}


def _existing_releases(release: Release) -> list[Existing]:
    return [
        _read_release(release, id_) for id_ in in_order(release.app) if RELEASE_ID.fullmatch(id_)
    ]


def _read_release(release: Release, name: str) -> Existing:
    paths = release.app.release(name)
    original, result = _plan(release, name).get("rollback_of") or name, results.read(paths.result)
    if result is None and os.path.lexists(paths.result):
        fix = deletion_advice(release.app, paths.home)
        release.log.write(f"warning: {name} is kept: {paths.result} is damaged; {fix}")
        return Existing(name, original, None)
    return Existing(name, original, result is not None and result.verified)


def _plan(release: Release, name: str) -> dict[str, Any]:
    """As it is: it may be of another runner version. {}: there is none, or only a part of it.

    Raises OSError, or Failure: it may say that another release is needed.
    """
    path = release.app.release(name).plan
    try:
        return load_json(path)
    except NOT_THERE:
        return {}
    except ValueError as error:
        fix = deletion_advice(release.app, path.parent)
        raise Failure(f"nothing old is removed: {path} is damaged; {fix}") from error


def untag(release: Release, kept: Iterable[str]) -> list[str]:
    """Remove local tags that no kept release uses; Docker keeps the tags of running containers."""
    reference = f"{images.OURS}/{release.plan.app}/*"
    words = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter")
    listed = try_run(NOWHERE, "docker", *words, f"reference={reference}", seconds=60, quiet=True)
    try:
        needed = {tag for id_ in kept for tag in _tags(release, id_)}
    except (OSError, ValueError) as error:
        release.log.write(
            f"no image is untagged: cannot read the record of a kept release: {error}"
        )
        return []
    untagged = []
    for tag in sorted(set(listed.out.split()) - needed):
        outcome = try_run(NOWHERE, "docker", "image", "rm", tag, seconds=SECONDS, quiet=True)
        if outcome.ok:
            untagged.append(tag)
        else:
            release.log.write(f"{tag} is kept: {' '.join(outcome.tail[-1:])}")
    return untagged


def _tags(release: Release, name: str) -> Iterable[str]:
    """Raises ValueError or OSError if the record cannot be read."""
    path = release.app.release(name).record
    if not path.exists():
        # It failed before the build.
        return ()
    tags = load_json(path).get("tags", {})
    if not isinstance(tags, dict):
        raise ValueError(f"{path} is not a record")
    return [str(tag) for tag in tags.values()]


def _commits(release: Release, kept: Iterable[str]) -> set[str]:
    sources = (_plan(release, name).get("source") for name in kept)
    return {source["revision"] for source in sources if source}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
