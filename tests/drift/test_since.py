"""What is new since the previous run, and what is gone."""

from __future__ import annotations

import io
import json

import pytest

from gpuhost.drift.report import HostDrift
from gpuhost.drift.since import Changes, OpenFindings, compare, forget_removed_hosts, open_findings
from gpuhost.fleet.host_status import HostStatus
from gpuhost.outputs.drift import print_changes
from gpuhost.outputs.table import console
from tests.drift.reports import AT, host, report, unreachable


def compared(before: list[HostDrift], *later: list[HostDrift]) -> tuple[list[str], list[str]]:
    """New and gone in the last of several runs, as "gpu1 swap.size drift"."""
    known: OpenFindings = open_findings(report(*before), {})
    changes = Changes()
    for hosts in later:
        now = open_findings(report(*hosts), known)
        changes, known = compare(AT, known, now), now
    new, gone = (
        [f"{one.host} {one.id} {one.kind}" for one in some] for some in (changes.new, changes.gone)
    )
    return new, gone


@pytest.mark.parametrize(
    ("before", "now", "new", "gone"),
    [
        ("drift", "drift", False, False),
        ("ok", "drift", True, False),
        ("ok", "unknown", True, False),
        ("ok", "warn", True, False),
        ("drift", "ok", False, True),
        ("unknown", "ok", False, True),
        # An accepted finding needs no attention until that expires.
        ("drift", "accepted", False, True),
        ("accepted", "drift", True, False),
        ("accepted", "ok", False, False),
        # A finding that becomes more important is new; one that becomes less important is not.
        ("pending", "drift", True, False),
        ("warn", "never_applied", True, False),
        ("warn", "unknown", True, False),
        ("drift", "pending", False, False),
        ("pending", "never_applied", False, False),
        ("drift", "unknown", False, False),
        # Skipped for now.
        ("drift", "later", False, False),
        ("later", "drift", True, False),
        ("later", "ok", False, False),
        ("drift", "skip", False, True),
    ],
)
def test_one_finding(before: str, now: str, new: bool, gone: bool) -> None:
    found = compared([host("gpu1", swap_size=before)], [host("gpu1", swap_size=now)])
    assert (bool(found[0]), bool(found[1])) == (new, gone)


def test_a_finding_that_was_unknown_for_a_night_is_not_new() -> None:
    drifting, unread = (host("gpu1", swap_size=kind) for kind in ("drift", "unknown"))
    assert compared([drifting], [unread], [drifting]) == ([], [])


def test_a_finding_that_was_skipped_for_a_night_is_not_new() -> None:
    drifting, not_now = (host("gpu1", toolkit_proof=kind) for kind in ("drift", "later"))
    repaired = host("gpu1", toolkit_proof="ok")
    assert compared([drifting], [not_now], [drifting]) == ([], [])
    assert compared([drifting], [not_now], [repaired]) == ([], ["gpu1 toolkit.proof drift"])


def test_a_missing_finding_of_a_partly_read_host_is_not_gone() -> None:
    """Findings of apps whose state could not be read, and the trend of disks."""
    known = host("gpu1", app_state="ok", app_files="drift", disk_trend="warn")
    unread = host("gpu1", app_state="unknown")
    assert compared([known], [unread]) == (["gpu1 app.state unknown"], [])
    assert compared([known], [unread], [known]) == ([], ["gpu1 app.state unknown"])
    gone = {"gpu1 app.files drift", "gpu1 disk.trend warn"}
    assert set(compared([known], [host("gpu1", app_state="ok")])[1]) == gone


def test_a_host_that_is_back_and_partly_read() -> None:
    partly = host("gpu1", app_state="unknown")
    found = compared([host("gpu1", app_state="ok")], [unreachable("gpu1")], [partly])
    assert found == (["gpu1 app.state unknown"], ["gpu1 host.read unreachable"])


def test_a_host_that_is_unreachable_for_a_night() -> None:
    known, lost = host("gpu1", swap_size="drift"), unreachable("gpu1")
    assert compared([known], [lost]) == (["gpu1 host.read unreachable"], [])
    assert compared([known], [lost], [lost]) == ([], [])
    assert compared([known], [lost], [known]) == ([], ["gpu1 host.read unreachable"])
    repaired = host("gpu1", swap_size="ok")
    gone = {"gpu1 host.read unreachable", "gpu1 swap.size drift"}
    assert set(compared([known], [lost], [repaired])[1]) == gone


def test_another_reason_for_not_being_read_is_not_new() -> None:
    hangs = HostDrift("gpu1", HostStatus.ERROR, reason="no answer within 30 s")
    assert compared([unreachable("gpu1")], [hangs]) == ([], [])


def test_hosts_outside_a_limited_run_keep_their_findings() -> None:
    one, two = host("gpu1", swap_size="drift"), host("gpu2", swap_size="drift")
    assert compared([one, two], [one]) == ([], [])
    assert compared([one, two], [one], [one, two]) == ([], [])


def test_a_host_that_left_the_inventory_is_forgotten() -> None:
    known = open_findings(
        report(host("gpu1", swap_size="drift"), host("old", swap_size="drift")), {}
    )
    assert forget_removed_hosts(known, {"gpu1", "gpu2"}) == {"gpu1": {"swap.size": "drift"}}


def test_worst_first() -> None:
    now = host("gpu1", disk_full="warn", swap_size="pending", docker_config="drift")
    assert compared([host("gpu1", disk_full="ok")], [now])[0] == [
        "gpu1 docker.config drift",
        "gpu1 swap.size pending",
        "gpu1 disk.full warn",
    ]


def changes() -> Changes:
    before = open_findings(report(host("gpu1", swap_size="drift", disk_full="ok")), {})
    now = open_findings(report(host("gpu1", swap_size="ok", disk_full="warn")), before)
    return compare(AT, before, now)


def printed(some: Changes) -> str:
    stream = io.StringIO()
    print_changes(some, console(stream))
    return stream.getvalue()


def test_on_the_terminal() -> None:
    assert printed(changes()) == (
        "Since 2026-11-21 22:19 UTC: 1 new, 1 gone\n"
        "  new  gpu1: disk.full (warn)\n"
        "  gone gpu1: swap.size (drift)\n\n"
    )
    assert printed(Changes(AT)).startswith(
        "Since 2026-11-21 22:19 UTC: nothing new, nothing gone\n"
    )
    assert printed(Changes()) == "No earlier run to compare with.\n\n"


def test_as_json() -> None:
    assert json.loads(json.dumps(changes().to_json())) == {
        "at": AT,
        "new": [{"host": "gpu1", "id": "disk.full", "kind": "warn"}],
        "gone": [{"host": "gpu1", "id": "swap.size", "kind": "drift"}],
    }
    assert Changes().to_json() == {"at": None, "new": [], "gone": []}


def test_new_findings_for_the_page() -> None:
    assert changes().new_findings == {("gpu1", "disk.full")}
