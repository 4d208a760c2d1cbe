"""The result of one host, or why it has none; and work for all hosts in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host

from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.interruption import interruption_reaches_this_greenlet
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.reading import (
    ReadFailed,
    Unreachable,
    connect,
    disconnect,
    one_line,
    read,
    unpack,
)
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, settings_of

if TYPE_CHECKING:
    from gpuhost.snapshot import Snapshot

T = TypeVar("T")
# Called with the name of a host, what was read, and its settings; may raise NotRead.
Evaluate = Callable[[str, "Snapshot", Settings], T]
# Called with the name of each host that is done, and with None at the start and every second.
OnDone = Callable[[str | None], None]


@dataclass(frozen=True)
class HostError:
    """Why a host has no result, in one line, and how to fix it.

    + bad_settings: its settings are invalid, so it was not contacted
    """

    status: HostStatus
    reason: str
    fix: str = ""
    bad_settings: bool = False

    @property
    def message(self) -> str:
        return f"{self.reason}; {self.fix}" if self.fix else self.reason


@dataclass(frozen=True)
class HostResults(Generic[T]):
    """The result for every host, in the order of the inventory. interrupted: by Ctrl-C."""

    by_host: Mapping[str, T | HostError]
    interrupted: bool = False


class HostTimeout(BaseException):
    """The time limit of one host. Not an Exception: no handler in between may swallow it."""


def on_each_host(fleet: Fleet, work: Callable[[Host], T | HostError]) -> HostResults[T]:
    """Run `work` for every host in this process. Ctrl-C ends it with the results so far.

    + work: has its own time limit, and raises nothing
    """
    results: dict[str, T | HostError] = {}
    interrupted = False

    def run(host: Host) -> None:
        results[host.name] = work(host)

    pool = fleet.state.pool
    # It waits for free slots itself, so this greenlet can be interrupted.
    finished = pool.imap_unordered(run, fleet.hosts)
    try:
        with interruption_reaches_this_greenlet():
            for _ in finished:
                pass
    except KeyboardInterrupt:
        interrupted = True
    finished.kill(block=False)
    pool.kill(block=False)
    unfinished = HostError(HostStatus.ERROR, "interrupted before it was done")
    names = [host.name for host in fleet.hosts]
    return HostResults({name: results.get(name, unfinished) for name in names}, interrupted)


def with_host(
    fleet: Fleet, host: Host, seconds: float, evaluate: Evaluate[T], begin: Callable[[], None]
) -> T | HostError:
    """Log in, read the host, evaluate the snapshot, log out. An error is this host's result.

    + seconds: from connecting to the end of `evaluate`
    + begin: called before the reply is unpacked and evaluated, which nothing interrupts
    """
    phase = "connecting"
    if host.name in fleet.refused:
        return _bad_settings(fleet.refused[host.name])
    try:
        settings = settings_of(host)
        with gevent.Timeout(seconds, HostTimeout):
            connect(host)
            phase = "reading"
            reply = read(host, settings, seconds)
            phase = "checking"
            begin()
            return _evaluate(evaluate, host.name, unpack(reply), settings)
    except BadSettings as error:
        return _bad_settings(str(error))
    except Unreachable as error:
        return HostError(HostStatus.UNREACHABLE, str(error), error.fix)
    except ReadFailed as error:
        return HostError(HostStatus.ERROR, str(error), error.fix)
    except MemoryError:
        return HostError(HostStatus.ERROR, f"{phase}: its reply needs more memory than is allowed")
    except HostTimeout:
        status = HostStatus.UNREACHABLE if phase == "connecting" else HostStatus.ERROR
        return HostError(status, f"{phase}: no answer within {seconds:g} s")
    except Exception as error:
        # A bug here or in a connector must not affect the other hosts.
        return HostError(HostStatus.ERROR, one_line(f"{phase}: {type(error).__name__}: {error}"))
    finally:
        leave(host)


def _evaluate(
    evaluate: Evaluate[T], name: str, snapshot: Snapshot, settings: Settings
) -> T | HostError:
    # Imported with the first reply: connections do not wait for it.
    from gpuhost.snapshot import NotRead

    try:
        return evaluate(name, snapshot, settings)
    except NotRead as reason:
        return HostError(HostStatus.ERROR, f"could not be read: {reason}")


def _bad_settings(reason: str) -> HostError:
    return HostError(HostStatus.ERROR, reason, bad_settings=True)


def leave(host: Host) -> None:
    """Log out, in bounded time. Errors are ignored: the result is complete."""
    try:
        with gevent.Timeout(5, HostTimeout):
            disconnect(host)
    except (Exception, HostTimeout):
        host.connected = False
