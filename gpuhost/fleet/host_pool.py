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
from gpuhost.settings.layers import BadSettings, declared_for
from gpuhost.snapshot import NotRead, Snapshot

T = TypeVar("T")
Judge = Callable[[Snapshot, Settings], T]


@dataclass(frozen=True)
class Trouble:
    """Why a host has nothing to say: one line, and what a person does about it.

    + settings_wrong: a mistake in its settings, so nothing was asked of the host
    """

    status: HostStatus
    reason: str
    fix: str = ""
    settings_wrong: bool = False

    @property
    def sentence(self) -> str:
        return f"{self.reason}; {self.fix}" if self.fix else self.reason


@dataclass(frozen=True)
class Visits(Generic[T]):
    """What came of every host, in the order of the inventory. interrupted: by Ctrl-C."""

    found: Mapping[str, T | Trouble]
    interrupted: bool = False


class OutOfTime(BaseException):
    """The limit of one host; no handler of ordinary errors on the way may keep it."""


def each_host(
    fleet: Fleet,
    work: Callable[[Host], T | Trouble],
    told: Callable[[str], None],
    *,
    deadline: float | None = None,
    meanwhile: Iterable[None] = (),
) -> Visits[T]:
    """Do something at every host, in parallel. Ctrl-C ends it with what is known so far.

    + work: has its own limit, and raises nothing
    + told: hears of each host as soon as it is done
    + deadline: seconds for all of them; None: each has only its own limit
    + meanwhile: steps of work for which there is time until the hosts answer
    """
    found: dict[str, T | Trouble] = {}
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
    unfinished = Trouble(HostStatus.ERROR, f"{why} before it was done")
    names = [host.name for host in fleet.hosts]
    return Visits({name: found.get(name, unfinished) for name in names}, interrupted)


def _step_by_step(work: Iterable[None]) -> None:
    for _ in work:
        gevent.sleep(0)


def visit(fleet: Fleet, host: Host, seconds: float, judge: Judge[T]) -> T | Trouble:
    """Log in, read, judge, log out; whatever goes wrong is this host's trouble.

    + seconds: from connecting to the last judgement
    + judge: may raise NotRead
    """
    doing = "connecting"
    if host.name in fleet.refused:
        return _settings_wrong(fleet.refused[host.name])
    try:
        declared = declared_for(host)
        with gevent.Timeout(seconds, OutOfTime):
            connect(host)
            doing = "reading"
            now = read(host, declared, seconds)
            doing = "judging"
            return judge(now, declared)
    except BadSettings as error:
        return _settings_wrong(str(error))
    except Unreachable as error:
        return Trouble(HostStatus.UNREACHABLE, str(error), error.fix)
    except NotReadable as error:
        return Trouble(HostStatus.ERROR, str(error), error.fix)
    except NotRead as reason:
        return Trouble(HostStatus.ERROR, f"could not be read: {reason}")
    except OutOfTime:
        status = HostStatus.UNREACHABLE if doing == "connecting" else HostStatus.ERROR
        return Trouble(status, f"{doing}: no answer within {seconds:g} s")
    except Exception as error:
        # A fault of ours, or of a connector: the other hosts have nothing to do with it.
        return Trouble(HostStatus.ERROR, one_line(f"{doing}: {type(error).__name__}: {error}"))
    finally:
        leave(host)


def _settings_wrong(reason: str) -> Trouble:
    return Trouble(HostStatus.ERROR, reason, settings_wrong=True)


def leave(host: Host) -> None:
    """Log out, in bounded time and without complaint."""
    try:
        with gevent.Timeout(5, OutOfTime):
            disconnect(host)
    except (Exception, OutOfTime):
        # It said what it had to say: a host that will not let go takes nothing back.
        host.connected = False
