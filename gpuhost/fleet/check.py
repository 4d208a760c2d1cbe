"""All hosts at once, each on its own: none waits for another, and none fails for another."""

from __future__ import annotations

from collections.abc import Callable

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host

from gpuhost.checks.registry import run_checks
from gpuhost.declaration import BadSettings, declared_for
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.reading import (
    NotReadable,
    Unreachable,
    connect,
    disconnect,
    one_line,
    read,
)
from gpuhost.fleet.report import FleetReport, HostReport, HostStatus

Told = Callable[[HostReport], None]


class _OutOfTime(BaseException):
    """The limit of one host; no handler of ordinary errors on the way may keep it."""


def check_fleet(fleet: Fleet, seconds: float, told: Told) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + told: hears of each host as soon as it is done
    """
    reports: dict[str, HostReport] = {}
    interrupted = False
    work: list[gevent.Greenlet] = []
    try:
        spawn = fleet.state.pool.spawn
        work.extend(spawn(_check, fleet, host, seconds) for host in fleet.hosts)
        for done in gevent.iwait(work):
            report: HostReport = done.get()
            reports[report.host] = report
            told(report)
    except KeyboardInterrupt:
        interrupted = True
        gevent.killall(work, block=False)
    return FleetReport(
        tuple(reports.get(host.name) or _interrupted(host) for host in fleet.hosts), interrupted
    )


def _check(fleet: Fleet, host: Host, seconds: float) -> HostReport:
    if host.name in fleet.refused:
        return _settings_wrong(host, fleet.refused[host.name])
    return check_host(host, seconds)


def check_host(host: Host, seconds: float) -> HostReport:
    """One host's report, whatever happens to it.

    + seconds: from connecting to the last check
    """
    doing = "connecting"
    try:
        declared = declared_for(host)
        with gevent.Timeout(seconds, _OutOfTime):
            connect(host)
            doing = "reading"
            now = read(host, declared)
            doing = "judging"
            findings = run_checks(now, declared)
    except BadSettings as error:
        return _settings_wrong(host, str(error))
    except Unreachable as error:
        return HostReport(host.name, HostStatus.UNREACHABLE, reason=str(error), fix=error.fix)
    except NotReadable as error:
        return HostReport(host.name, HostStatus.ERROR, reason=str(error), fix=error.fix)
    except _OutOfTime:
        status = HostStatus.UNREACHABLE if doing == "connecting" else HostStatus.ERROR
        return HostReport(host.name, status, reason=f"{doing}: no answer within {seconds:g} s")
    except Exception as error:
        # A fault of ours, or of a connector: the other hosts have nothing to do with it.
        reason = one_line(f"{doing}: {type(error).__name__}: {error}")
        return HostReport(host.name, HostStatus.ERROR, reason=reason)
    finally:
        _leave(host)
    return HostReport.judged(host.name, findings)


def _settings_wrong(host: Host, reason: str) -> HostReport:
    return HostReport(host.name, HostStatus.ERROR, reason=reason, settings_wrong=True)


def _leave(host: Host) -> None:
    try:
        with gevent.Timeout(5, _OutOfTime):
            disconnect(host)
    except (Exception, _OutOfTime):
        # It said what it had to say: a host that will not let go takes nothing back.
        host.connected = False


def _interrupted(host: Host) -> HostReport:
    return HostReport(host.name, HostStatus.ERROR, reason="interrupted before it was done")
