"""Earlier runs: one compact JSON file each, in one directory."""

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
from gpuhost.drift.difference import Cause
from gpuhost.drift.files import directory_problem, replace
from gpuhost.drift.report import SCHEMA, DriftReport, HostDrift
from gpuhost.drift.since import OpenFindings
from gpuhost.drift.trend import DAY, WINDOWS, Reading

MAX_RUNS = 400
NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z\.json", re.ASCII)
# Of each host; the disks with the least free space are kept.
MAX_DISKS = 200
# More runs would not make the trend of a disk more precise.
MAX_TREND_RUNS = 30
# Bytes; no disk is larger.
MAX_SIZE = 2**63
# Schema 1 has another word for one kind. (Its other changes are in fields that are not read.)
READABLE_SCHEMAS = (1, SCHEMA)
KINDS_OF_SCHEMA_1 = {"new": Cause.NEVER_APPLIED.value}

# Raised for a file with unexpected content.
DECODE_ERRORS = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, RecursionError,
)  # fmt: skip


class InvalidRun(ValueError):
    """A file that is damaged, or that `save` did not write."""


@dataclass(frozen=True)
class Run:
    """What later runs need of an earlier one.

    + at: when it started, epoch seconds
    + open: what needed attention after it
    + disks: free bytes, by host and mount point
    """

    at: int
    open: OpenFindings
    disks: dict[str, dict[str, int]]


class History:
    """A directory of runs.

    + warn: called once for each file in it that is not a run
    """

    def __init__(self, directory: Path, warn: Callable[[str], None]) -> None:
        self.directory = directory
        self._warn = warn
        self._runs: dict[str, Run | None] = {}

    def prepare(self) -> str:
        """Create the directory, for its owner only: problems of hosts are confidential.

        Returns why no run can be saved; "": runs can be saved.
        """
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            return f"cannot create {self.directory}: {error.strerror or error}"
        try:
            next(self.directory.iterdir(), None)
        except OSError as error:
            return f"cannot read {self.directory}: {error.strerror or error}"
        return directory_problem(self.directory)

    def newest(self, at: int) -> Run | None:
        """The newest run, up to this time. Raises OSError.

        Later runs are ignored: the clock was wrong when they were saved.
        """
        names = [name for name in self._names() if name <= _name(at)]
        runs = (self._run(name) for name in reversed(names))
        return next((run for run in runs if run), None)

    def disks(self, at: int) -> dict[str, list[Reading]]:
        """By host, the free space of its disks in earlier runs, for the trend. Raises OSError."""
        first, last = _name(at - WINDOWS[-1] * DAY), _name(at)
        names = [name for name in self._names() if first <= name < last]
        step = -(-len(names) // MAX_TREND_RUNS) or 1
        readings: dict[str, list[Reading]] = {}
        # Counted from the newest run, which is always used.
        for run in filter(None, (self._run(name) for name in names[::-1][::step])):
            for host, free in run.disks.items():
                readings.setdefault(host, []).append((run.at, free))
        return readings

    def save(self, report: DriftReport, open: OpenFindings, after: Run | None = None) -> None:
        """Add a run, and delete the oldest if there are too many. Raises OSError.

        + after: the run that it was compared with. The saved run gets a later time, even if it
          started earlier
        """
        at = max(report.at, after.at + 1) if after else report.at
        saved = document(replaced(report, at=at), open)
        text = json.dumps(saved, separators=(",", ":"), ensure_ascii=False)
        replace(self.directory / _name(at), text + "\n", mode=0o600)
        for name in self._names()[:-MAX_RUNS]:
            (self.directory / name).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        names = sorted(file.name for file in self.directory.iterdir())
        for name in names:
            # A hidden file is left by a run that was killed.
            if not NAME.fullmatch(name) and not name.startswith("."):
                self._skip(name, "not the name of a run")
        return [name for name in names if NAME.fullmatch(name)]

    def _run(self, name: str) -> Run | None:
        if name not in self._runs:
            try:
                run = parse_run((self.directory / name).read_text("utf-8"))
                if _name(run.at) != name:
                    raise InvalidRun("its start time differs from its name")
                self._runs[name] = run
            except (OSError, ValueError) as error:
                self._skip(name, getattr(error, "strerror", None) or str(error))
        return self._runs[name]

    def _skip(self, name: str, why: str) -> None:
        if name not in self._runs:
            self._warn(f"{self.directory / name} is ignored: {why}")
        self._runs[name] = None


def _name(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H%M%SZ.json")


def document(report: DriftReport, open: OpenFindings) -> dict[str, Any]:
    """The report as JSON, without the findings that are ok or do not apply, and with what later
    runs need."""
    hosts = [_host(host) for host in report.hosts]
    return {**report.to_json(), "hosts": hosts, "open": open}


def _host(host: HostDrift) -> dict[str, Any]:
    whole = host.to_json()
    good = (Status.OK.value, Status.SKIP.value)
    findings = [one for one in whole["findings"] if one["status"] not in good]
    disks = sorted(host.disks.items(), key=lambda disk: (disk[1], disk[0]))
    left_out = {"more_disks": len(disks) - MAX_DISKS} if len(disks) > MAX_DISKS else {}
    return {**whole, "findings": findings, "disks": dict(disks[:MAX_DISKS]), **left_out}


def parse_run(text: str) -> Run:
    """A run from its file. Raises InvalidRun."""
    try:
        run = json.loads(text)
        if run["schema"] not in READABLE_SCHEMAS:
            raise InvalidRun(f"its schema is {run['schema']!r}, not {SCHEMA}")
        at = int(run["at"])
        datetime.fromtimestamp(at, timezone.utc)
        return Run(at, _open(run["open"]), dict(_disks(run["hosts"])))
    except InvalidRun:
        raise
    except DECODE_ERRORS as error:
        raise InvalidRun("gpuhost drift did not write it") from error


def _open(hosts: Any) -> OpenFindings:
    return {
        str(host): {str(id): KINDS_OF_SCHEMA_1.get(kind, str(kind)) for id, kind in kinds.items()}
        for host, kinds in hosts.items()
    }


def _disks(hosts: Any) -> Iterator[tuple[str, dict[str, int]]]:
    for host in hosts:
        yield str(host["host"]), {str(path): _bytes(free) for path, free in host["disks"].items()}


def _bytes(value: Any) -> int:
    free = int(value)
    if not 0 <= free < MAX_SIZE:
        raise InvalidRun("no disk has that much free space")
    return free
