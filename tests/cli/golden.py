"""The output of `--json` for every command and every status of a host.

    python -m tests.cli.golden

writes it to tests/fixtures/json. A new key is a change to describe in docs/json.md; a key that is
renamed, removed or has another meaning also needs another schema number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from gpuhost.checks.finding import Finding, Status
from gpuhost.cli import logs
from gpuhost.cli.drift import document
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.since import Change, Changes
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.logs import Target
from gpuhost.fleet.releases import FleetApps, HostApps
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.settings.types import Ignored
from tests.cli.test_releases import BEGUN, FAILED, NEW, UNIT, UP, VERIFIED, apps, box, on

DIRECTORY = Path(__file__).parents[1] / "fixtures" / "json"
AT = 1795299544
UNREACHABLE = HostError(HostStatus.UNREACHABLE, "Could not connect", "try again")
MISTAKE = HostError(HostStatus.ERROR, "cuda = '12': no such version", bad_settings=True)
ACCEPTED = Ignored(id="disk.*", reason="a disk is ordered", until="2026-12-31")
EXPIRED = Ignored(id="swap.size", reason="until Friday", until="2026-01-01")


def finding(status: Status, id: str) -> Finding:
    if status in (Status.OK, Status.SKIP, Status.UNKNOWN):
        return Finding(status, actual="the value, or the reason", id=id)
    return Finding(status, "16.0 GB", "512 MB", "/swapfile is missing", "deploy again", id=id)


FINDINGS = [finding(status, f"{status.value}.id") for status in Status]


def check() -> dict[str, Any]:
    ok, fail, unknown = (
        [one for one in FINDINGS if one.status in statuses]
        for statuses in (
            (Status.OK, Status.WARN, Status.SKIP),
            (Status.OK, Status.FAIL),
            (Status.OK, Status.UNKNOWN),
        )
    )
    hosts = (
        HostReport.of("ok", ok),
        HostReport.of("fail", fail),
        HostReport.of("unknown", unknown),
        HostReport("unreachable", UNREACHABLE.status, reason="Could not connect", fix="try again"),
        HostReport("error", MISTAKE.status, reason=MISTAKE.reason, bad_settings=True),
    )
    return FleetReport(hosts).to_json()


def drift() -> dict[str, Any]:
    differences = [
        Difference(finding(Status.OK, "ok.id")),
        Difference(finding(Status.SKIP, "skip.id")),
        Difference(finding(Status.FAIL, "fail.drift"), Cause.DRIFT, expired=EXPIRED),
        Difference(finding(Status.FAIL, "fail.pending"), Cause.PENDING),
        Difference(finding(Status.FAIL, "fail.never"), Cause.NEVER_APPLIED),
        Difference(finding(Status.WARN, "warn.accepted"), Cause.DRIFT, accepted=ACCEPTED),
    ]
    unknown = Difference(finding(Status.UNKNOWN, "unknown.id"))
    by = {"applied_at": AT - 86400, "applied_by": "ann@desk"}
    hosts = (
        HostDrift.of("drift", differences, **by),
        HostDrift.of("pending", differences[3:5]),
        HostDrift.of("ok", differences[:1], **by),
        HostDrift.of("error", [unknown], **by),
        HostDrift("unreachable", UNREACHABLE.status, reason="Could not connect", fix="try again"),
    )
    changes = Changes(
        AT - 86400,
        new=(Change("drift", "fail.drift", "drift"), Change("unreachable", "host.read", "error")),
        gone=(Change("ok", "fail.never", "never applied"),),
    )
    return document(DriftReport(hosts, AT), changes) | {"gpuhost": "VERSION"}


def _fleet(name: str | None) -> FleetApps:
    running = box("app", "running", UP)
    hosts = (
        on("ok", apps(VERIFIED, attempt=BEGUN), running, units=UNIT),
        on("failed", apps(FAILED, VERIFIED, attempt=BEGUN), running),
        HostApps("none"),
        HostApps("unreachable", error=UNREACHABLE),
        HostApps("error", error=MISTAKE),
    )
    return FleetApps(hosts, name)


def status() -> dict[str, Any]:
    return _fleet(None).status_json()


def releases() -> dict[str, Any]:
    return _fleet("tts").releases_json()


def logs_line() -> dict[str, Any]:
    out = StringIO()
    with redirect_stdout(out):
        logs._json_writer("gpu1", Target("tts", NEW, "release", under_way=True))("01:02 == build")
    line: dict[str, Any] = json.loads(out.getvalue())
    return line


VERBS: dict[str, Callable[[], dict[str, Any]]] = {
    "check": check,
    "drift": drift,
    "status": status,
    "releases": releases,
    "logs": logs_line,
}


def golden(verb: str) -> str:
    return json.dumps(VERBS[verb](), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for verb in VERBS:
        (DIRECTORY / f"{verb}.json").write_text(golden(verb), "utf-8")
