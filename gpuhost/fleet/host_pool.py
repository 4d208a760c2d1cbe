"""All hosts at once, each on its own: none waits for another, and none fails for another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host

from gpuhost.fleet.interruption import interruption_reaches_this_greenlet
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.reading import (
    NotReadable,
    Unreachable,
    connect,
    disconnect,
    one_line,
    read,
)
from gpuhost.fleet.report import HostStatus
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, settings_of
from gpuhost.snapshot import NotRead, Snapshot

T = TypeVar("T")
Judge = Callable[[Snapshot, Settings], T]


@dataclass(frozen=True)
class HostError:
    """Why a host has nothing to say: one line, and what a person does about it.

    + bad_settings: a mistake in its settings, so nothing was asked of the host
    """

    status: HostStatus
    reason: str
    fix: str = ""
    bad_settings: bool = False

    @property
    def sentence(self) -> str:
        return f"{self.reason}; {self.fix}" if self.fix else self.reason


@dataclass(frozen=True)
class HostResults(Generic[T]):
    """What came of every host, in the order of the inventory. interrupted: by Ctrl-C."""

    found: Mapping[str, T | HostError]
    interrupted: bool = False


class HostTimeout(BaseException):
    """The limit of one host; no handler of ordinary errors on the way may keep it."""


def on_each_host(
    fleet: Fleet,
    work: Callable[[Host], T | HostError],
    told: Callable[[str], None],
    *,
    deadline: float | None = None,
    meanwhile: Iterable[None] = (),
) -> HostResults[T]:
    """Do something at every host, in parallel. Ctrl-C ends it with what is known so far.

    + work: has its own limit, and raises nothing
    + told: hears of each host as soon as it is done
    + deadline: seconds for all of them; None: each has only its own limit
    + meanwhile: steps of work for which there is time until the hosts answer
    """
    found: dict[str, T | HostError] = {}
    interrupted = False

    def visited(host: Host) -> str:
        found[host.name] = work(host)
        return str(host.name)

    pool = fleet.state.pool
    gevent.spawn(_step_by_step, meanwhile)
    # It waits for room in the pool by itself: this greenlet hears of hosts from the first one on.
    visits = pool.imap_unordered(visited, fleet.hosts)
    try:
        with interruption_reaches_this_greenlet(), gevent.Timeout(deadline, False):
            for name in visits:
                told(name)
    except KeyboardInterrupt:
        interrupted = True
    visits.kill(block=False)
    pool.kill(block=False)
    late = deadline is not None and not interrupted
    why = f"the run's limit of {deadline:g} s was reached" if late else "interrupted"
    unfinished = HostError(HostStatus.ERROR, f"{why} before it was done")
    names = [host.name for host in fleet.hosts]
    return HostResults({name: found.get(name, unfinished) for name in names}, interrupted)


def _step_by_step(work: Iterable[None]) -> None:
    for _ in work:
        gevent.sleep(0)


def with_host(fleet: Fleet, host: Host, seconds: float, judge: Judge[T]) -> T | HostError:
    """Log in, read, judge, log out; whatever goes wrong is this host's trouble.

    + seconds: from connecting to the last judgement
    + judge: may raise NotRead
    """
    doing = "connecting"
    if host.name in fleet.refused:
        return _bad_settings(fleet.refused[host.name])
    try:
        settings = settings_of(host)
        with gevent.Timeout(seconds, HostTimeout):
            connect(host)
            doing = "reading"
            snapshot = read(host, settings, seconds)
            doing = "judging"
            return judge(snapshot, settings)
    except BadSettings as error:
        return _bad_settings(str(error))
    except Unreachable as error:
        return HostError(HostStatus.UNREACHABLE, str(error), error.fix)
    except NotReadable as error:
        return HostError(HostStatus.ERROR, str(error), error.fix)
    except NotRead as reason:
        return HostError(HostStatus.ERROR, f"could not be read: {reason}")
    except HostTimeout:
        status = HostStatus.UNREACHABLE if doing == "connecting" else HostStatus.ERROR
        return HostError(status, f"{doing}: no answer within {seconds:g} s")
    except Exception as error:
        # A fault of ours, or of a connector: the other hosts have nothing to do with it.
        return HostError(HostStatus.ERROR, one_line(f"{doing}: {type(error).__name__}: {error}"))
    finally:
        leave(host)


def _bad_settings(reason: str) -> HostError:
    return HostError(HostStatus.ERROR, reason, bad_settings=True)


def leave(host: Host) -> None:
    """Log out, in bounded time and without complaint."""
    try:
        with gevent.Timeout(5, HostTimeout):
            disconnect(host)
    except (Exception, HostTimeout):
        # It said what it had to say: a host that will not let go takes nothing back.
        host.connected = False
