"""Runners of earlier versions are removed once no app of the host uses them."""

from __future__ import annotations

import time

from gpuhost.runner.state.release import Release

# One that has just come may not be linked by its app yet.
SETTLED_S = 3600


def forget(release: Release) -> None:
    """Remove them from lib/, beside the apps of the host."""
    apps = release.app.home.parent
    used = {link.resolve() for link in apps.glob("*/runner.pyz")}
    came_before = time.time() - SETTLED_S
    for runner in (apps / "lib").glob("runner-*.pyz"):
        if runner.resolve() not in used and runner.stat().st_mtime < came_before:
            runner.unlink(missing_ok=True)
            release.log.write(f"removed {runner.name}, which no app uses any more")
