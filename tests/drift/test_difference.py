"""The cause of a finding that is not ok, and whether it is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import SOME_PROXY, document
from gpuhost.drift.causes import explain
from gpuhost.drift.difference import MAX_FINDINGS, Cause, Difference, bounded
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.since import open_findings
from gpuhost.fleet.host_status import HostStatus
from gpuhost.plans.proxy import CLIENT_FILE, ENGINE_FILE
from gpuhost.settings import Settings
from gpuhost.settings.types import Ignored
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import APPLIED
from gpuhost.snapshot.docker import DAEMON_JSON
from tests.recorded import probes

HOST = "debian13-docker"
# 2026-11-21 23:59:59 UTC.
AT = 1795305599
PROXY = "http://ada:one@p.example.com:1"


def snapshot_of(record: str | None, **files: str | None) -> Snapshot:
    return Snapshot(probes(HOST, files={APPLIED: record, **files}))


def provisioned(settings: Settings) -> str:
    """The record of a host on which everything was ok with these settings."""
    snapshot = snapshot_of(None)
    good = [Finding(Status.OK, id=one.id) for one in run_checks(snapshot, settings)]
    text = document(None, settings, good, at=1, by="ada@desk")
    assert text is not None
    return text


def differing(snapshot: Snapshot, settings: Settings, at: int = AT) -> dict[str, Difference]:
    every = [explain(one, snapshot, settings, at=at) for one in run_checks(snapshot, settings)]
    return {one.finding.id: one for one in every if one.cause}


@pytest.mark.parametrize(
    ("then", "today", "cause"),
    [
        # The host differs from both settings.
        ({"memory_min_gb": 900}, {"memory_min_gb": 900}, Cause.DRIFT),
        ({"memory_min_gb": 900}, {"memory_min_gb": 901}, Cause.DRIFT),
        # With the applied settings it is ok.
        ({"memory_min_gb": 0}, {"memory_min_gb": 900}, Cause.PENDING),
        (None, {"memory_min_gb": 900}, Cause.NEVER_APPLIED),
    ],
)
def test_the_cause_of_a_finding(
    then: dict[str, Any] | None, today: dict[str, Any], cause: Cause
) -> None:
    record = None if then is None else provisioned(Settings(**then))
    settings = Settings(**today)
    found = differing(snapshot_of(record), settings)["memory.total"]
    assert found.cause is cause
    assert found.is_drift is (cause is Cause.DRIFT)
    assert found.is_pending is (cause is not Cause.DRIFT)


@pytest.mark.parametrize(
    ("today", "cause"),
    [
        # The old path is no longer read: its unknown state is not drift.
        ({"swap_path": "/new.swap", "swap_size_gb": 3.0}, Cause.PENDING),
        ({"swap_path": "/old.swap", "swap_size_gb": 3.0}, Cause.DRIFT),
    ],
)
def test_a_path_that_the_repository_moved_is_pending(today: dict[str, Any], cause: Cause) -> None:
    record = provisioned(Settings(swap_path="/old.swap", swap_size_gb=2.0))
    found = differing(snapshot_of(record), Settings(**today))
    assert found["swap.size"].cause is cause


def test_a_moved_path_does_not_hide_other_drift() -> None:
    then = Settings(swap_path="/old.swap", swap_size_gb=2.0, memory_min_gb=900)
    today = Settings(swap_path="/new.swap", swap_size_gb=2.0, memory_min_gb=900)
    found = differing(snapshot_of(provisioned(then)), today)
    assert found["memory.total"].cause is Cause.DRIFT
    # The kernel's setting does not depend on the path of the file.
    assert found["swap.swappiness"].cause is Cause.DRIFT
    assert found["swap.size"].cause is Cause.PENDING


def test_a_warning_that_became_a_failure_is_drift() -> None:
    one = "printer.service loaded failed failed A printer\n"
    two = one + "docker.service loaded failed failed Docker\n"
    settings = Settings()
    deployed = Snapshot(probes(HOST, changed={"failed_units": {"out": one}}))
    record = document(None, settings, run_checks(deployed, settings), at=1, by="ada@desk")
    causes = {}
    for failed in (one, two):
        snapshot = Snapshot(probes(HOST, {APPLIED: record}, {"failed_units": {"out": failed}}))
        found = differing(snapshot, settings)["system.units"]
        causes[found.finding.status] = found.cause
    # It was already a warning at the first deploy, so it is not drift.
    assert causes == {Status.WARN: Cause.NEVER_APPLIED, Status.FAIL: Cause.DRIFT}


@pytest.mark.parametrize(
    ("then", "cause"), [({"docker_restart": "never"}, Cause.PENDING), ({}, Cause.DRIFT)]
)
def test_a_warning_that_fails_by_todays_settings_is_pending(
    then: dict[str, Any], cause: Cause
) -> None:
    """An engine that has not loaded its file is only a warning if it must not be restarted."""
    text = document(
        None, Settings(**then), [Finding(Status.WARN, id="docker.live")], at=1, by="ada@desk"
    )
    changed = {"paths": {"out": f"600 root root 100 1895300604 regular file {DAEMON_JSON}"}}
    snapshot = Snapshot(probes(HOST, {APPLIED: text}, changed))
    assert differing(snapshot, Settings())["docker.live"].cause is cause


def test_recorded_settings_that_are_no_longer_valid_are_pending() -> None:
    record = json.loads(provisioned(Settings()))
    record["settings"][0]["swap_swappiness"] = "much"
    found = differing(snapshot_of(json.dumps(record)), Settings(memory_min_gb=900))
    assert found["memory.total"].cause is Cause.PENDING


@pytest.mark.parametrize(
    ("before", "of_files"),
    [
        # A proxy is on record, so root's configuration had to be readable by root only.
        ("http://ada:two@p.example.com:1", Cause.DRIFT),
        (None, Cause.PENDING),
    ],
)
def test_a_changed_proxy_is_pending_and_the_rest_is_drift(
    before: str | None, of_files: Cause
) -> None:
    then = Settings(proxy_http=before, memory_min_gb=900)
    declared = then.model_copy(update={"proxy_http": PROXY})
    too_open = {"paths": {"out": f"644 root root 20 1795299408 regular file {CLIENT_FILE}\n"}}
    snapshot = Snapshot(probes(HOST, {APPLIED: provisioned(then)}, too_open))
    found = {id: one.cause for id, one in differing(snapshot, declared).items()}
    assert found["proxy.apt"] is Cause.PENDING
    assert found["memory.total"] is Cause.DRIFT
    assert found["system.files"] is of_files


def test_an_engine_that_has_not_loaded_a_new_proxy_is_pending() -> None:
    record = provisioned(Settings(proxy_http=PROXY))
    changed = {"paths": {"out": "600 root root 100 1895300604 regular file " + ENGINE_FILE}}
    snapshot = Snapshot(probes(HOST, {APPLIED: record}, changed))
    other = Settings(proxy_http="http://p.example.com:2")
    assert differing(snapshot, other)["docker.live"].cause is Cause.PENDING
    same = Settings(proxy_http=PROXY)
    assert differing(snapshot, same)["docker.live"].cause is Cause.DRIFT


def test_only_proxy_checks_depend_on_the_proxys_url() -> None:
    snapshot = snapshot_of(None)
    one, other = (run_checks(snapshot, Settings(proxy_http=url)) for url in (PROXY, SOME_PROXY))
    assert [a.id for a, b in zip(one, other, strict=True) if a != b and a.noun != "proxy"] == []


@pytest.mark.parametrize(
    ("id", "until", "accepted", "expired"),
    [
        ("memory.total", "2999-12-31", True, False),
        ("memory.*", "2999-12-31", True, False),
        ("memory.total", "2020-01-01", False, True),
        ("memory.to", "2999-12-31", False, False),
        ("swap.size", "2999-12-31", False, False),
    ],
)
def test_an_entry_accepts_a_finding_until_its_date(
    id: str, until: str, accepted: bool, expired: bool
) -> None:
    ignored = {"id": id, "reason": "more comes", "until": until}
    settings = Settings.model_validate({"memory_min_gb": 900, "drift_ignore": (ignored,)})
    found = differing(snapshot_of(provisioned(settings)), settings)["memory.total"]
    assert (found.accepted is not None, found.expired is not None) == (accepted, expired)
    assert found.is_failure is not accepted
    assert found.cause is Cause.DRIFT


@pytest.mark.parametrize(
    ("id", "until", "accepted", "expired"),
    [
        ("disk.full", "2999-12-31", True, False),
        ("disk.full", "2020-01-01", False, True),
        # The actual finding is unknown, so a pattern does not accept it.
        ("disk.*", "2999-12-31", False, False),
    ],
)
def test_only_a_full_id_accepts_an_unknown_finding(
    id: str, until: str, accepted: bool, expired: bool
) -> None:
    ignored = Ignored(id=id, reason="it hangs", until=until)
    settings = Settings(drift_ignore=(ignored,))
    unread = Finding(Status.UNKNOWN, actual="df timed out", id="disk.full")
    found = explain(unread, snapshot_of(None), settings, at=AT)
    assert (found.accepted is not None, found.expired is not None) == (accepted, expired)
    assert (found.cause, found.kind) == (None, "accepted" if accepted else "unknown")
    host = HostDrift.of("gpu1", [found])
    assert host.reported == [found]
    assert (host.status, host.reason) == (
        (HostStatus.OK, "") if accepted else (HostStatus.ERROR, "could not be read: disk.full")
    )
    assert DriftReport((host,), AT).exit == (0 if accepted else 3)
    assert open_findings(DriftReport((host,), AT), {}) == (
        {} if accepted else {"gpu1": {"disk.full": "unknown"}}
    )


def test_an_entry_is_valid_to_the_end_of_its_last_day() -> None:
    day = "2026-11-21"
    ignored = {"id": "memory.total", "reason": "more comes", "until": day}
    settings = Settings.model_validate({"memory_min_gb": 900, "drift_ignore": (ignored,)})
    for second, accepted in ((AT, True), (AT + 1, False)):
        # The clock of the host differs, or cannot be read.
        for clock in ({"out": "1000000000\n"}, {"out": "4000000000\n"}, {"rc": None, "out": ""}):
            snapshot = Snapshot(probes(HOST, changed={"clock": clock}))
            found = differing(snapshot, settings, second)["memory.total"]
            assert (found.accepted is not None) is accepted


def test_ok_findings_have_no_cause() -> None:
    snapshot, settings = snapshot_of(None), Settings(memory_min_gb=0)
    good = [one for one in run_checks(snapshot, settings) if one.status in (Status.OK, Status.SKIP)]
    assert len(good) > 20
    for one in good:
        found = explain(one, snapshot, settings, at=AT)
        assert (found.cause, found.accepted, found.is_failure) == (None, None, False)


def of_kinds(**counts: int) -> list[Difference]:
    made = {
        "ok": Difference(Finding(Status.OK, id="one")),
        "warn": Difference(Finding(Status.WARN, id="one")),
        "pending": Difference(Finding(Status.FAIL, id="one"), Cause.PENDING),
        "drift": Difference(Finding(Status.FAIL, id="one"), Cause.DRIFT),
        "unknown": Difference(Finding(Status.UNKNOWN, id="one")),
    }
    return [made[kind] for kind, count in counts.items() for _ in range(count)]


def test_of_many_findings_the_worst_are_shown() -> None:
    """And one says how many others there are, as something that is not known to be ok."""
    shown = bounded(of_kinds(ok=400, warn=3, pending=900, drift=100, unknown=1))
    *kept, last = shown
    assert [one.kind for one in kept] == ["unknown"] + ["drift"] * 100 + ["pending"] * 899
    assert last.finding.id == "host.findings"
    assert last.kind == "unknown"
    assert last.finding.actual == "and 404 more: 1 pending, 3 warn, 400 ok"


@pytest.mark.parametrize("more", [0, 1])
def test_findings_up_to_the_limit_are_all_shown(more: int) -> None:
    every = of_kinds(warn=MAX_FINDINGS + more)
    shown = bounded(every)
    assert len(shown) == MAX_FINDINGS + more
    assert [one.finding.actual for one in shown[MAX_FINDINGS:]] == ["and 1 more: 1 warn"] * more
