"""The stage `source`: puts the build contexts into the release's directory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.data import archive
from gpuhost.runner.data.edits import apply_edits
from gpuhost.runner.data.overlay import lay_over
from gpuhost.runner.git import checkout
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, sync_directory
from gpuhost.runner.plan import Source
from gpuhost.runner.resolved.temporary_files import discard_if_unknown
from gpuhost.runner.state.release import Release


def fetch(release: Release) -> None:
    """Check out the commit or unpack the archive, with its overlay and edits. Raises Failure."""
    source, target = release.plan.source, release.paths.source
    discard_if_unknown(target, release.log)
    if source is None:
        # Compose files may name paths in it.
        target.mkdir(exist_ok=True)
        release.log.write("no source: images only")
        return
    if target.exists():
        release.log.write(f"{source.revision} is already on this host")
        return
    temporary = release.paths.new_source
    clear(temporary)
    try:
        _make(release, source, temporary)
    except BaseException:
        # It may be what fills the disk.
        with suppress(OSError), abort.cleanup():
            clear(temporary)
        raise
    # Before the rename: after a power cut `source` must not contain empty files.
    abort.in_background(os.sync)
    temporary.rename(target)
    sync_directory(target.parent)
    release.log.write(f"source {source.revision}")


def _make(release: Release, source: Source, into: Path) -> None:
    """Raises Failure."""
    if source.kind == "git":
        checkout.check_out(release, source, into)
    elif source.kind == "archive":
        archive.unpack(release.paths.archive, into)
    else:
        raise Failure(f"plan.json: source.kind is {source.kind!r}, not git or archive")
    if source.overlay:
        lay_over(release, into)
    apply_edits(source.edits, into, release.log)
