"""The stage `source`: build contexts in the release's directory, whole or not there."""

from __future__ import annotations

import os

from gpuhost.runner.data import archive
from gpuhost.runner.git import checkout
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import sync_directory
from gpuhost.runner.state.release import Release


def fetch(release: Release) -> None:
    """The commit, or the content of the archive that came; nothing for an app of images only.

    Raises Failure in git's own words.
    """
    source = release.plan.source
    if source is None:
        release.log.write("no source: images only")
        return
    place = release.paths.source
    if place.exists():
        release.log.write(f"{source.revision} is already on this host")
        return
    beside = release.paths.unfinished
    checkout.clear(beside)
    if source.kind == "git":
        checkout.check_out(release, source, beside)
    elif source.kind == "archive":
        archive.unpack(release.paths.archive, beside)
    else:
        raise Failure(f"plan.json: source.kind is {source.kind!r}, not git or archive")
    # The name says that it is whole: after a power cut it must not name empty files.
    os.sync()
    beside.rename(place)
    sync_directory(place.parent)
    release.log.write(f"source {source.revision}")
