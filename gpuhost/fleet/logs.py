"""A release's log, read from its host a piece at a time, for as long as something comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host
from typing_extensions import override

from gpuhost.fleet.host_pool import HostError, HostTimeout, leave
from gpuhost.fleet.reading import (
    BrokenOff,
    NotReadable,
    Unreachable,
    ask,
    connect,
    one_line,
)
from gpuhost.fleet.report import HostStatus
from gpuhost.rollout.connection import (
    ROUND_TRIP_SECONDS,
    CommandFailed,
    Connection,
    ConnectionLost,
)
from gpuhost.rollout.follower import RECONNECT_SECONDS, FollowError, FollowTarget, LogFollower
from gpuhost.snapshot import Snapshot

RESTORE = "restore"


@dataclass(frozen=True)
class Target:
    """Whose log. under_way: something writes it now.

    + release: its id; of a restore the name of the backup, beside which its log is
    + kind: "release", "rollback", "restore"
    """

    app: str
    release: str
    kind: str
    under_way: bool


@dataclass(frozen=True)
class NoLog:
    """There is nothing to show, and why."""

    reason: str


def target(snapshot: Snapshot, app: str, release: str | None) -> Target | NoLog:
    """The one asked for; else what is under way; else the newest release. Raises NotRead.

    + release: its id, or the name of a backup that was restored
    """
    state = snapshot.apps.get(app)
    if state is None or state.newest is None:
        return NoLog(f"no app {app}")
    attempt = state.under_way
    restored = [backup.name for backup in state.backups if backup.whole]
    if release is not None and state.release(release) is None and release not in restored:
        there = ", ".join(one.id for one in state.releases)
        return NoLog(f"no release {release} of {app}; there are: {there}")
    if state.runner is None:
        return NoLog(f"{app} has no runner to read its log with: release it again")
    under_way = attempt.id if attempt else ""
    known = state.release(under_way) or (attempt and attempt.kind == RESTORE)
    chosen = release or (under_way if known else "") or state.newest.id
    is_now = attempt is not None and chosen == under_way
    kind = attempt.kind if is_now and attempt else RESTORE if chosen in restored else "release"
    return Target(app, chosen, kind, is_now)


def show(
    host: Host,
    target: Target,
    *,
    follow: bool,
    write: Callable[[str], None],
    told: Callable[[str], None],
) -> HostError | None:
    """Give every line of a log to `write`; what went wrong, if anything did.

    + told: hears when the connection is lost and back
    """
    followed = FollowTarget(target.app, target.release, target.kind, host.name)
    patience = RECONNECT_SECONDS if follow else 0
    follower = LogFollower(_FleetConnection(host), followed, told, patience=patience)
    try:
        for look in follower.until_end() if follow else follower.available():
            for line in look.lines:
                write(line)
    except FollowError as why:
        cause = why.__cause__.__cause__ if why.__cause__ else None
        if isinstance(cause, Unreachable):
            return HostError(HostStatus.UNREACHABLE, str(cause), cause.fix)
        return HostError(HostStatus.ERROR, one_line(str(why)))
    except BrokenPipeError:
        # Not of the connection: whoever read what is written has gone.
        raise
    except Exception as error:
        # A fault of ours, or of a connector: the other hosts have nothing to do with it.
        return HostError(HostStatus.ERROR, one_line(f"{type(error).__name__}: {error}"))
    finally:
        leave(host)
    return None


class _FleetConnection(Connection):
    """As a reading reaches the host: as root, where that is possible without asking anybody."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @override
    def run(self, *words: str | int, seconds: int) -> list[str]:
        quoted = " ".join(quote(str(word)) for word in words)
        command = f"exec timeout -k 5 {seconds} {quoted} </dev/null\n"
        limit = seconds + ROUND_TRIP_SECONDS
        try:
            with gevent.Timeout(limit + ROUND_TRIP_SECONDS, HostTimeout):
                connect(self._host)
                return list(ask(self._host, command, limit, "reading the log").stdout_lines)
        except (BrokenOff, Unreachable) as error:
            raise ConnectionLost(str(error)) from error
        except NotReadable as error:
            raise CommandFailed(str(error)) from error
        except HostTimeout:
            raise ConnectionLost(f"nothing came for {limit + ROUND_TRIP_SECONDS} s") from None

    @override
    def reconnect(self) -> None:
        leave(self._host)
