"""Earlier runs: one compact JSON file each, in a directory of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gpuhost.checks.finding import Status
from gpuhost.drift.files import obstacle_in, replace
from gpuhost.drift.report import SCHEMA, DriftReport, HostDrift
from gpuhost.drift.since import Open
from gpuhost.drift.trend import DAY, WINDOWS, Reading

KEPT = 400
NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z\.json", re.ASCII)
# So many tell how fast a disk fills as well as all of them do.
FOR_TREND = 30
# No disk is that large, in bytes.
MOST = 2**63


# What reading a file raises that has something else in it.
NOT_OURS = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, RecursionError,
)  # fmt: skip


class NotARun(ValueError):
    """A file that is not what `keep` writes, or not any more."""


@dataclass(frozen=True)
class Run:
    """What later runs ask of an earlier one.

    + at: when it began, epoch seconds
    + open: what needed somebody after it
    + disks: what was free, by host and by where it is mounted
    """

    at: int
    open: Open
    disks: dict[str, dict[str, int]]


class History:
    """A directory of runs.

    + told: hears, once, of each file in it that is none
    """

    def __init__(self, directory: Path, told: Callable[[str], None]) -> None:
        self.directory = directory
        self._told = told
        self._known: dict[str, Run | None] = {}

    def obstacle(self) -> str:
        """Why no run can be kept, in words; "": one can. Makes the directory, for its owner only:
        what is wrong with hosts is nobody else's business."""
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            return f"cannot make {self.directory}: {error.strerror or error}"
        try:
            next(self.directory.iterdir(), None)
        except OSError as error:
            return f"cannot read {self.directory}: {error.strerror or error}"
        return obstacle_in(self.directory)

    def newest(self, at: int) -> Run | None:
        """The last run that was kept, by this time. Raises OSError.

        A clock that was wrong once leaves runs from the future behind: those are not it.
        """
        names = [name for name in self._names() if name <= _name(at)]
        runs = (self._run(name) for name in reversed(names))
        return next((run for run in runs if run), None)

    def disks(self, at: int) -> dict[str, list[Reading]]:
        """By host, what was free on its disks in the runs from which a trend is told.

        Raises OSError.
        """
        first, last = _name(at - WINDOWS[-1] * DAY), _name(at)
        names = [name for name in self._names() if first <= name < last]
        step = -(-len(names) // FOR_TREND) or 1
        found: dict[str, list[Reading]] = {}
        # Counted from the newest, which is always among them.
        for run in filter(None, (self._run(name) for name in names[::-1][::step])):
            for host, free in run.disks.items():
                found.setdefault(host, []).append((run.at, free))
        return found

    def keep(self, report: DriftReport, open: Open, after: Run | None = None) -> None:
        """Add a run, and take away the oldest of too many. Raises OSError.

        + after: the run that it was compared with, which may have begun later and ended earlier;
          what is kept last is the newest all the same
        """
        at = max(report.at, after.at + 1) if after else report.at
        kept = document(replaced(report, at=at), open)
        text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
        replace(self.directory / _name(at), text + "\n", mode=0o600)
        for name in self._names()[:-KEPT]:
            (self.directory / name).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        names = sorted(file.name for file in self.directory.iterdir())
        for name in names:
            # Hidden ones are unfinished, of a run that was killed.
            if not NAME.fullmatch(name) and not name.startswith("."):
                self._pass_over(name, "its name is not that of a run")
        return [name for name in names if NAME.fullmatch(name)]

    def _run(self, name: str) -> Run | None:
        if name not in self._known:
            try:
                run = parsed((self.directory / name).read_text("utf-8"))
                if _name(run.at) != name:
                    raise NotARun("it began at another time than its name says")
                self._known[name] = run
            except (OSError, ValueError) as error:
                self._pass_over(name, getattr(error, "strerror", None) or str(error))
        return self._known[name]

    def _pass_over(self, name: str, why: str) -> None:
        if name not in self._known:
            self._told(f"{self.directory / name} is passed over: {why}")
        self._known[name] = None


def _name(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H%M%SZ.json")


def document(report: DriftReport, open: Open) -> dict[str, Any]:
    """The report of schema 1, without the findings that are ok or do not apply, and with what
    later runs ask for."""
    hosts = [_host(host) for host in report.hosts]
    return {**report.to_json(), "hosts": hosts, "open": open}


def _host(host: HostDrift) -> dict[str, Any]:
    told = host.to_json()
    good = (Status.OK.value, Status.SKIP.value)
    findings = [one for one in told["findings"] if one["status"] not in good]
    return {**told, "findings": findings, "disks": dict(host.disks)}


def parsed(text: str) -> Run:
    """A run from its file. Raises NotARun."""
    try:
        found = json.loads(text)
        if found["schema"] != SCHEMA:
            raise NotARun(f"its schema is {found['schema']!r}, not {SCHEMA}")
        at = int(found["at"])
        datetime.fromtimestamp(at, timezone.utc)
        return Run(at, _open(found["open"]), dict(_disks(found["hosts"])))
    except NotARun:
        raise
    except NOT_OURS as error:
        raise NotARun("it is not what gpuhost drift writes") from error


def _open(found: Any) -> Open:
    return {
        str(host): {str(id): str(kind) for id, kind in kinds.items()}
        for host, kinds in found.items()
    }


def _disks(hosts: Any) -> Iterator[tuple[str, dict[str, int]]]:
    for host in hosts:
        yield str(host["host"]), {str(path): _bytes(free) for path, free in host["disks"].items()}


def _bytes(found: Any) -> int:
    free = int(found)
    if not 0 <= free < MOST:
        raise NotARun("no disk has as much free as it says")
    return free
