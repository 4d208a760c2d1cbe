"""The log of a release, read from its host while it grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host
from typing_extensions import override

from gpuhost.fleet.host_pool import HostError, HostTimeout, leave
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.reading import NoReply, ReadFailed, Unreachable, ask, connect, one_line
from gpuhost.remote.commands import ROUND_TRIP_SECONDS
from gpuhost.rollout.connection import CommandFailed, Connection, ConnectionLost
from gpuhost.rollout.follower import RECONNECT_SECONDS, FollowError, FollowTarget, LogFollower
from gpuhost.snapshot import Snapshot

RESTORE = "restore"


@dataclass(frozen=True)
class Target:
    """Which log to show. under_way: it is being written now.

    + release: its id; for a restore the name of the backup, where its log is
    + kind: "release", "rollback", "restore"
    """

    app: str
    release: str
    kind: str
    under_way: bool


@dataclass(frozen=True)
class NoLog:
    """Why a host has no log to show."""

    reason: str


def find_log(snapshot: Snapshot, app: str, release: str | None) -> Target | NoLog:
    """The given release; else the one in progress; else the newest. Raises NotRead.

    + release: its id, or the name of a backup that was restored
    """
    state = snapshot.apps.get(app)
    if state is None or state.newest is None:
        return NoLog(f"no app {app}")
    operation = state.under_way
    restored = [backup.name for backup in state.backups if backup.complete]
    if release is not None and state.release(release) is None and release not in restored:
        known_ids = ", ".join(one.id for one in state.releases)
        return NoLog(f"no release {release} of {app}; known: {known_ids}")
    if state.runner is None:
        return NoLog(f"{app} has no runner that reads its log: release it again")
    under_way = operation.id if operation else ""
    has_log = state.release(under_way) or (operation and operation.kind == RESTORE)
    chosen = release or (under_way if has_log else "") or state.newest.id
    in_progress = operation is not None and chosen == under_way
    kind = (
        operation.kind
        if in_progress and operation
        else RESTORE
        if chosen in restored
        else "release"
    )
    return Target(app, chosen, kind, in_progress)


def stream_log(
    host: Host,
    target: Target,
    *,
    follow: bool,
    write: Callable[[str], None],
    notify: Callable[[str], None],
) -> HostError | None:
    """Pass every line of a log to `write`. Returns the error, if there is one.

    + notify: called with a line when the connection is lost and restored
    """
    followed = FollowTarget(target.app, target.release, target.kind, host.name)
    patience = RECONNECT_SECONDS if follow else 0
    follower = LogFollower(_FleetConnection(host), followed, notify, patience=patience)
    try:
        for poll in follower.until_end() if follow else follower.available():
            for line in poll.lines:
                write(line)
    except FollowError as error:
        cause = error.__cause__.__cause__ if error.__cause__ else None
        if isinstance(cause, Unreachable):
            return HostError(HostStatus.UNREACHABLE, str(cause), cause.fix)
        return HostError(HostStatus.ERROR, one_line(str(error)))
    except BrokenPipeError:
        # Our own stdout, not the connection to the host.
        raise
    except Exception as error:
        # A bug here or in a connector must not affect the other hosts.
        return HostError(HostStatus.ERROR, one_line(f"{type(error).__name__}: {error}"))
    finally:
        leave(host)
    return None


class _FleetConnection(Connection):
    """Runs commands as a reading does: as root if that needs no password."""

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
        except (NoReply, Unreachable) as error:
            raise ConnectionLost(str(error)) from error
        except ReadFailed as error:
            raise CommandFailed(str(error)) from error
        except HostTimeout:
            raise ConnectionLost(f"no data for {limit + ROUND_TRIP_SECONDS} s") from None

    @override
    def reconnect(self) -> None:
        leave(self._host)
