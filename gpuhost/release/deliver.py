"""One command that puts a release on its host and starts the host's own runner on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import gevent  # type: ignore[import-untyped]
from paramiko import SSHException
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host

from gpuhost.release.bundle import Bundle
from gpuhost.rendering import render
from gpuhost.runner.contract import APPS, Operation, from_json
from gpuhost.snapshot.apps import UNIT

SCRIPT = "release_begin.sh"
RESUME_UNIT = "/etc/systemd/system/gpuhost-resume@.service"
BUSY = 75
# systemd's own part, on a host that is busy.
START_SECONDS = 240
# Slower than this nobody sends a source; release the images instead.
LEAST_BYTES_A_SECOND = 100_000


# A way there and back that takes longer is broken.
WAY_SECONDS = 60


class NotBegun(Exception):
    """Nothing runs on the host; the message says why."""


class _OutOfTime(BaseException):
    """No handler of ordinary errors on the way may keep it."""


@dataclass(frozen=True)
class Start:
    """What the host is asked to carry out.

    + verb: the runner's, with its arguments
    + limit_s: when systemd ends it
    + bundle: what goes along; None: everything is there
    + runner: the file's name on the host
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
        return UNIT.format(app=self.app)


def resume_unit() -> str:
    """The service that takes up at boot what was cut off; one file for all apps."""
    return render("systemd/gpuhost-resume@.service.j2", apps=APPS)


def begin(host: Host, start: Start, arguments: dict[str, Any]) -> Operation | None:
    """Start it. None: it runs now, or the connection was lost and whoever watches it finds out;
    else what is under way instead, and nothing was changed.

    Raises NotBegun.
    """
    given = {**arguments, **_stdin(start), "_success_exit_codes": [0, BUSY]}
    try:
        with gevent.Timeout(_limit(start) + WAY_SECONDS, _OutOfTime):
            done, output = host.run_shell_command(command(start), **given)
    except (SSHException, EOFError, OSError, _OutOfTime):
        _lost(host)
        return None
    if done:
        return _holder(output.stdout_lines) if output.stdout_lines else None
    if not output.stderr_lines:
        # A session that is cut has no last words.
        _lost(host)
        return None
    raise NotBegun(f"it could not be started: {'; '.join(output.stderr_lines[-5:])}")


def _lost(host: Host) -> None:
    words = "the connection was lost while it began; looking whether the host is at it"
    host.log_styled(words, fg="yellow")


def _limit(start: Start) -> int:
    size = start.bundle.size if start.bundle else 0
    return START_SECONDS + size // LEAST_BYTES_A_SECOND


def command(start: Start) -> StringCommand:
    """The script as an argument, because what is sent takes stdin. No value is in it."""
    words = (
        f"{APPS}/{start.app}",
        start.id,
        start.unit,
        start.limit_s,
        f"gpuhost: {start.verb[0]} {start.id} by {start.by}",
        RESUME_UNIT,
        start.runner,
        start.bundle.sha256 if start.bundle else "",
        *start.verb,
    )
    return StringCommand(
        "LC_ALL=C",
        "timeout",
        "-k",
        "5",
        str(_limit(start)),
        "sh",
        "-c",
        QuoteString(_script()),
        "sh",
        *(QuoteString(str(word)) for word in words),
    )


def _stdin(start: Start) -> dict[str, Any]:
    return {"_stdin": start.bundle.lines()} if start.bundle else {}


def _holder(lines: list[str]) -> Operation:
    """Who is at it; the script prints nothing else."""
    try:
        return from_json(Operation, {"kind": "release", "id": "", "by": "", **json.loads(lines[0])})
    except (ValueError, TypeError):
        # Just begun: its file is not written yet.
        return Operation("release", "", "", 0)


@cache
def _script() -> str:
    return files("gpuhost.operations").joinpath(SCRIPT).read_text(encoding="utf-8")
