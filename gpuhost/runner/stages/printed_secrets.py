"""Warns of secrets that the app prints: `docker logs` shows them, and log collectors copy them."""

from __future__ import annotations

import time

from gpuhost.runner.contract import LEAST_MASKED, Masking
from gpuhost.runner.docker.app_log import last_lines
from gpuhost.runner.docker.compose import services_to_start
from gpuhost.runner.docker.containers import LONGEST_LINE
from gpuhost.runner.state.release import Release

# Lines of each container; a start prints its configuration first.
LINES = 1000
# Characters of each log: to look for a secret in a hostile text takes seconds.
LARGEST = 256 << 10
# For all services: the app's lock is held.
SECONDS = 60


def warn(release: Release) -> None:
    """After a verified release: name each service and the secrets in its log, once."""
    secrets = {
        name: Masking([value])
        for name, value in sorted(release.secrets.items())
        if len(value) >= LEAST_MASKED
    }
    if not secrets:
        return
    any_of_them = Masking(value for masking in secrets.values() for value in masking.values)
    end = time.monotonic() + SECONDS
    for service in services_to_start(release):
        if time.monotonic() >= end:
            release.log.write(f"not looked for secrets in the log of {service} and later ones")
            return
        text = _log(release, service)
        if any_of_them(text) == text:
            continue
        names = [name for name, masking in secrets.items() if masking(text) != text]
        if names:
            release.log.write(
                f"warning: {service} prints {', '.join(names)} in its log, which docker logs and "
                "log collectors show: make it log less, or correct its code"
            )


def _log(release: Release, service: str) -> str:
    lines = last_lines(release, LINES, release.before.at, service, prefix=False)
    return "\n".join(line[:LONGEST_LINE] for line in lines)[:LARGEST]
