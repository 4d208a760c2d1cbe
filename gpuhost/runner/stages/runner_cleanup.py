"""Removes old runners that no app on the host uses."""

from __future__ import annotations

import time

from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import link_target

# A newer runner may not be linked by its app yet.
MIN_AGE_S = 3600


def forget(release: Release) -> None:
    """Remove them from lib/, beside the apps."""
    apps = release.app.home.parent
    lib, newest = apps / "lib", time.time() - MIN_AGE_S
    # Those with a dot: a delivery that was cut.
    for runner in (*lib.glob("runner-*.pyz"), *lib.glob(".runner*")):
        # The links are read again each time; one that is just made is named .runner.pyz.new.
        links = (*apps.glob("*/runner.pyz"), *apps.glob("*/.runner.pyz.new"))
        # An app whose link cannot be read may use any of them.
        used = {link_target(link).name for link in links}
        if runner.name not in used and runner.stat().st_mtime < newest:
            runner.unlink(missing_ok=True)
            release.log.write(f"removed {runner.name}: no app uses it")
