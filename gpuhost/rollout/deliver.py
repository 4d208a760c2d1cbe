"""One command that sends a release to its host and starts the runner there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gevent  # type: ignore[import-untyped]
from pyinfra.api import StringCommand
from pyinfra.api.host import Host

from gpuhost.domain import host_json
from gpuhost.domain.plain_text import safe
from gpuhost.domain.rendering import render
from gpuhost.remote.commands import ROUND_TRIP_SECONDS, inline_script
from gpuhost.rollout.bundle import Bundle
from gpuhost.rollout.connection import CONNECTION_ERRORS, RoundTripTimeout, without_greeting
from gpuhost.rollout.progress import readable
from gpuhost.runner.contract import APPS, RESUME_UNIT_FILE, Operation, release_unit

SCRIPT = "release_begin.sh"
BUSY = 75
# The time that systemd needs to start it on a busy host.
START_SECONDS = 240
# The slowest upload that is waited for. Over a slower link, release images, not a source.
MIN_BYTES_PER_SECOND = 100_000


class NotStarted(Exception):
    """Nothing runs on the host; the message says why."""


@dataclass(frozen=True)
class StartRequest:
    """What the host must run.

    + verb: the runner's command, with its arguments
    + limit_s: systemd stops it after this time
    + bundle: the files to send; None: the host has them already
    + runner: the runner's file name on the host
    """

    app: str
    id: str
    by: str
    verb: tuple[str, ...]
    limit_s: int
    bundle: Bundle | None = None
    runner: str = ""

    @property
    def unit(self) -> str:
        return release_unit(self.app)


def resume_unit_text() -> str:
    """The service that resumes an interrupted release at boot; one file for all apps."""
    return render("systemd/gpuhost-resume@.service.j2", apps=APPS)


def start_release(host: Host, request: StartRequest, arguments: dict[str, Any]) -> Operation | None:
    """Start it on the host.

    Returns None if it runs, or if the connection was lost: then the follower shows whether it runs.
    Returns the operation that locks the app if there is one: then nothing was changed.

    Raises NotStarted.
    """
    options = {**arguments, **_stdin(request), "_success_exit_codes": [0, BUSY]}
    try:
        with gevent.Timeout(_limit(request) + ROUND_TRIP_SECONDS, RoundTripTimeout):
            succeeded, output = host.run_shell_command(command(request), **options)
    except (*CONNECTION_ERRORS, RoundTripTimeout):
        _warn_connection_lost(host)
        return None
    if succeeded:
        answer = without_greeting(output.stdout_lines)
        return _holder(answer) if answer else None
    if not output.stderr_lines:
        # An interrupted session prints nothing.
        _warn_connection_lost(host)
        return None
    raise NotStarted(
        f"it could not be started: {'; '.join(map(readable, output.stderr_lines[-5:]))}"
    )


def _warn_connection_lost(host: Host) -> None:
    message = "the connection was lost during the start; checking whether the host runs it"
    host.log_styled(message, fg="yellow")


def _limit(request: StartRequest) -> int:
    size = request.bundle.size if request.bundle else 0
    return START_SECONDS + size // MIN_BYTES_PER_SECOND


def command(request: StartRequest) -> StringCommand:
    """The script is an argument, because the bundle takes stdin. No secret is in it."""
    words: tuple[str | int, ...] = (
        f"{APPS}/{request.app}",
        request.id,
        request.unit,
        request.limit_s,
        f"gpuhost: {request.verb[0]} {request.id} by {request.by}",
        str(RESUME_UNIT_FILE),
        request.runner,
        request.bundle.sha256 if request.bundle else "",
        *request.verb,
    )
    return inline_script(SCRIPT, *words, seconds=_limit(request))


def _stdin(request: StartRequest) -> dict[str, Any]:
    return {"_stdin": request.bundle.lines()} if request.bundle else {}


def _holder(lines: list[str]) -> Operation:
    """The operation that locks the app; the script prints nothing else."""
    try:
        return safe(Operation.lenient(host_json.parse(lines[0])))
    except ValueError:
        # It has just started and has not written its file yet.
        return Operation("release", "", "", 0)
