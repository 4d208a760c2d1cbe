"""The logs of an app's services, as the engine keeps them."""

from __future__ import annotations

import time

from gpuhost.runner.contract import TERMINAL_CODE
from gpuhost.runner.docker.compose import QUICK, ask
from gpuhost.runner.state.health import epoch
from gpuhost.runner.state.release import Release


def last_lines(
    release: Release,
    lines: int,
    since: str,
    *services: str,
    prefix: bool = True,
    seconds: float = QUICK,
) -> list[str]:
    """The last lines of each container of these services; secrets are not masked.

    + since: in Docker's format; "": from the beginning
    + prefix: the container's name before each line
    """
    # If the clock was set back since then, the lines after it seem older.
    period = ("--since", since) if since and epoch(since) <= time.time() else ()
    options = ("--no-color", *(() if prefix else ("--no-log-prefix",)), "--tail", str(lines))
    outcome = ask(release, "logs", *options, *period, *services, seconds=seconds, large=True)
    # Some versions of Compose print them even without a terminal.
    return TERMINAL_CODE.sub("", outcome.out).splitlines()
