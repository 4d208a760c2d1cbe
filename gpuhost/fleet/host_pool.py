"""All hosts in parallel: no host waits for another, or fails because of another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host

from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.interruption import interruption_reaches_this_greenlet
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.reading import ReadFailed, Unreachable, connect, disconnect, one_line, read
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, settings_of
from gpuhost.snapshot import NotRead, Snapshot

T = TypeVar("T")
Evaluate = Callable[[Snapshot, Settings], T]


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


def on_each_host(
    fleet: Fleet,
    work: Callable[[Host], T | HostError],
    on_done: Callable[[str], None],
    *,
    deadline: float | None = None,
    meanwhile: Iterable[None] = (),
) -> HostResults[T]:
    """Run `work` for every host, in parallel. Ctrl-C ends it with the results so far.

    + work: has its own time limit, and raises nothing
    + on_done: called with the name of each host as soon as it is done
    + deadline: seconds for all hosts together; None: each has only its own limit
    + meanwhile: steps of other work, done while the hosts answer
    """
    results: dict[str, T | HostError] = {}
    interrupted = False

    def run(host: Host) -> str:
        results[host.name] = work(host)
        return str(host.name)

    pool = fleet.state.pool
    gevent.spawn(_step_by_step, meanwhile)
    # It waits for free slots itself, so this greenlet gets each host as soon as it is done.
    finished = pool.imap_unordered(run, fleet.hosts)
    try:
        with interruption_reaches_this_greenlet(), gevent.Timeout(deadline, False):
            for name in finished:
                on_done(name)
    except KeyboardInterrupt:
        interrupted = True
    finished.kill(block=False)
    pool.kill(block=False)
    late = deadline is not None and not interrupted
    why = f"the run's limit of {deadline:g} s was reached" if late else "interrupted"
    unfinished = HostError(HostStatus.ERROR, f"{why} before it was done")
    names = [host.name for host in fleet.hosts]
    return HostResults({name: results.get(name, unfinished) for name in names}, interrupted)


def _step_by_step(work: Iterable[None]) -> None:
    for _ in work:
        gevent.sleep(0)


def with_host(fleet: Fleet, host: Host, seconds: float, evaluate: Evaluate[T]) -> T | HostError:
    """Log in, read the host, evaluate the snapshot, log out. An error is this host's result.

    + seconds: from connecting to the end of `evaluate`
    + evaluate: may raise NotRead
    """
    phase = "connecting"
    if host.name in fleet.refused:
        return _bad_settings(fleet.refused[host.name])
    try:
        settings = settings_of(host)
        with gevent.Timeout(seconds, HostTimeout):
            connect(host)
            phase = "reading"
            snapshot = read(host, settings, seconds)
            phase = "checking"
            return evaluate(snapshot, settings)
    except BadSettings as error:
        return _bad_settings(str(error))
    except Unreachable as error:
        return HostError(HostStatus.UNREACHABLE, str(error), error.fix)
    except ReadFailed as error:
        return HostError(HostStatus.ERROR, str(error), error.fix)
    except NotRead as reason:
        return HostError(HostStatus.ERROR, f"could not be read: {reason}")
    except HostTimeout:
        status = HostStatus.UNREACHABLE if phase == "connecting" else HostStatus.ERROR
        return HostError(status, f"{phase}: no answer within {seconds:g} s")
    except Exception as error:
        # A bug here or in a connector must not affect the other hosts.
        return HostError(HostStatus.ERROR, one_line(f"{phase}: {type(error).__name__}: {error}"))
    finally:
        leave(host)


def _bad_settings(reason: str) -> HostError:
    return HostError(HostStatus.ERROR, reason, bad_settings=True)


def leave(host: Host) -> None:
    """Log out, in bounded time. Errors are ignored: the result is complete."""
    try:
        with gevent.Timeout(5, HostTimeout):
            disconnect(host)
    except (Exception, HostTimeout):
        host.connected = False
