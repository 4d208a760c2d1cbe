"""`gpuhost status` and `gpuhost releases`: tables, JSON and exit statuses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.host_status import HostStatus
from gpuhost.fleet.releases import FleetApps, HostApps, RunState, app_reports
from gpuhost.outputs.releases import print_releases, print_status
from gpuhost.snapshot import Snapshot
from tests.cli.conftest import Workplace
from tests.cli.sshd import ADDRESSES, Sshd
from tests.recorded import probes

GOOD, OTHER, THIRD = ADDRESSES[:3]
OLD, NEW = "20261121-010203-aabbccdd", "20261122-010203-11223344"
ENDED = 1795300000
UP = "Up 2 hours (healthy)"
UNIT = {"out": "Id=gpuhost-release-tts.service\nActiveState=active\n"}


def result(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "kind": "release", "by": "ann@desk", "ended": ENDED, **more}


def release(id: str, ended: dict[str, Any] | None) -> dict[str, Any]:
    plan = {"by": "ann@desk", "revision": "1f" * 20, "project": "tts", "inputs": "x"}
    return {"id": id, **plan, "result": ended}


VERIFIED = release(OLD, result("verified", gap_s=1.5))
FAILED = release(NEW, result("restored", stage="build", said="exit 137", restored=OLD))


def apps(*releases: dict[str, Any], current: str | None = OLD, **more: Any) -> dict[str, Any]:
    app = {"name": "tts", "current": current, "releases": releases, "attempt": None, **more}
    return {"rc": 0, "out": json.dumps({"apps": [app], "runners": ["runner-1.pyz"]})}


def box(name: str, state: str, status: str, *, one_off: str = "False") -> str:
    return (
        f"1f\t{name}\t{state}\tx\t\ttts\t{name}\t/opt/gpuhost/tts/shared\t{one_off}\t{status}\t\n"
    )


def host(told: dict[str, Any], *boxes: str, units: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apps": told,
        "app_units": units or {"rc": 0},
        "docker_containers": {"out": "".join(boxes)},
    }


def read(changed: dict[str, Any]) -> Snapshot:
    return Snapshot(probes("debian13-docker", changed=changed))


@pytest.mark.parametrize(
    ("boxes", "running"),
    [
        ([box("app", "running", UP)], RunState.RUNNING),
        ([box("app", "running", "Up 2 hours")], RunState.RUNNING),
        ([box("app", "running", "Up 2 s (health: starting)")], RunState.STARTING),
        ([box("app", "running", "Up 2 hours (unhealthy)")], RunState.BROKEN),
        ([box("app", "running", UP), box("db", "exited", "Exited (137) 1 s ago")], RunState.BROKEN),
        ([box("app", "running", UP), box("db", "restarting", "Restarting (1)")], RunState.BROKEN),
        ([box("app", "running", UP), box("db", "created", "Created")], RunState.BROKEN),
        (
            [box("app", "running", UP), box("init", "exited", "Exited (0) 1 s ago")],
            RunState.RUNNING,
        ),
        (
            [box("app", "running", UP), box("m", "exited", "Exited (1) 1 s ago", one_off="True")],
            RunState.RUNNING,
        ),
        ([box("app", "exited", "Exited (0) 2 hours ago")], RunState.STOPPED),
        ([], RunState.STOPPED),
        ([box("app", "running", UP).replace("tts", "other")], RunState.STOPPED),
    ],
)
def test_run_state(boxes: list[str], running: RunState) -> None:
    (app,) = app_reports(read(host(apps(VERIFIED), *boxes)))
    assert app.run_state is running


@pytest.mark.parametrize(
    ("told", "running"),
    [
        (apps(FAILED, VERIFIED), RunState.RUNNING),
        (apps(release(NEW, None), VERIFIED), RunState.RUNNING),
        (apps(release(NEW, result("failed")), current=None), RunState.NOT_RELEASED),
        (apps(release(NEW, None), current=None), RunState.NOT_RELEASED),
        (apps(release(NEW, result("restore-failed")), VERIFIED), RunState.RESTORE_FAILED),
        (apps(release(NEW, result("failed")), current=NEW), RunState.NOT_RELEASED),
        (apps(current=OLD), RunState.NOT_RELEASED),
    ],
)
def test_only_a_verified_release_runs(told: dict[str, Any], running: RunState) -> None:
    (app,) = app_reports(read(host(told, box("app", "running", UP))))
    assert app.run_state is running


def test_a_stopped_engine(workplace: Workplace) -> None:
    snapshot = read({**host(apps(VERIFIED)), "docker_info": None, "docker_containers": None})
    (app,) = app_reports(snapshot)
    assert app.run_state is RunState.STOPPED
    assert "docker.service is not running" in printed_status(HostApps("gpu1", (app,)))


def fleet(*hosts: HostApps, name: str | None = None, interrupted: bool = False) -> FleetApps:
    return FleetApps(hosts, name, interrupted)


def on(name: str, told: dict[str, Any], *boxes: str, **more: Any) -> HostApps:
    return HostApps(name, app_reports(read(host(told, *boxes, **more))))


RUNS = on("gpu1", apps(VERIFIED), box("app", "running", UP))
STOPPED = on("gpu2", apps(VERIFIED))
NONE = HostApps("gpu3")
UNREACHABLE = HostApps("gpu4", error=HostError(HostStatus.UNREACHABLE, "Could not connect", "try"))
MISTAKE = HostApps("gpu5", error=HostError(HostStatus.ERROR, "cuda = 12", bad_settings=True))


@pytest.mark.parametrize(
    ("found", "status", "releases"),
    [
        (fleet(RUNS), 0, 0),
        (fleet(RUNS, NONE), 0, 0),
        (fleet(NONE), 0, 0),
        (fleet(RUNS, STOPPED), 2, 0),
        (fleet(STOPPED, UNREACHABLE), 3, 3),
        (fleet(RUNS, UNREACHABLE, MISTAKE), 1, 1),
        (fleet(NONE, NONE, name="tts"), 1, 1),
        (fleet(NONE, UNREACHABLE, name="tts"), 3, 3),
        (fleet(RUNS, interrupted=True), 130, 130),
    ],
)
def test_exit_status(found: FleetApps, status: int, releases: int) -> None:
    assert (found.exit(fail_if_down=True), found.exit(fail_if_down=False)) == (status, releases)


def printed_status(*hosts: HostApps) -> str:
    stream = io.StringIO()
    print_status(fleet(*hosts), Console(file=stream, width=200))
    return stream.getvalue()


def unfolded(text: str) -> str:
    return " ".join(text.replace("│", "").split())


def printed_releases(*hosts: HostApps) -> str:
    stream = io.StringIO()
    print_releases(fleet(*hosts, name="tts"), Console(file=stream, width=200))
    return stream.getvalue()


BEGUN = {"kind": "rollback", "id": NEW, "by": "bob@desk", "started": ENDED}


def test_status_table() -> None:
    text = printed_status(RUNS, STOPPED, NONE, UNREACHABLE)
    for words in ("running", "stopped", "no app", "unreachable", OLD, "2026-11-21 22:26", UP):
        assert words in text
    assert "gpu4: unreachable: Could not connect\n-> try\n" in text


def test_status_shows_what_is_in_progress_interrupted_and_failed() -> None:
    told = apps(release(NEW, None), VERIFIED, attempt=BEGUN)
    in_progress = printed_status(on("gpu1", told, units=UNIT))
    assert f"in progress: rollback {NEW} by bob@desk, since 2026-11-21 22:26" in unfolded(
        in_progress
    )
    interrupted = unfolded(printed_status(on("gpu1", told)))
    assert "gpuhost abort INVENTORY tts undoes it now" in interrupted
    failed = unfolded(printed_status(on("gpu1", apps(FAILED, VERIFIED))))
    assert f"the last release, {NEW}, failed in build: exit 137; rolled back to {OLD}" in failed
    ended = result("restored", stage="up", said="x", restored=OLD, aborted_by="bob@desk")
    aborted = unfolded(printed_status(on("gpu1", apps(release(NEW, ended), VERIFIED))))
    assert f"{NEW}, aborted by bob@desk in up; rolled back to {OLD}" in aborted


def test_releases_table() -> None:
    lost = release(NEW, result("restore-failed", stage="up", said="x", restore_said="no disk"))
    back = {**VERIFIED, "id": "20261120-010203-00000000", "rollback_of": "20261119-1"}
    text = printed_releases(on("gpu1", apps(lost, VERIFIED, back)), NONE, UNREACHABLE)
    rows = [line for line in text.splitlines() if OLD in line]
    assert "*" in rows[0] and "1f1f1f1f1f1f" in rows[0] and "ann@desk" in rows[0]
    assert "rollback to 20261119-1" in unfolded(text)
    assert "failed in up: x; THE PREVIOUS RELEASE COULD NOT BE RESTORED: no disk" in " ".join(
        text.replace("│", "").split()
    )
    assert "gpu3: no app tts" in text
    assert "gpu4: unreachable" in text


def test_a_release_without_a_result() -> None:
    told = apps(release(NEW, None), VERIFIED, attempt=BEGUN)
    assert "in progress" in printed_releases(on("gpu1", told, units=UNIT))
    assert "interrupted" in printed_releases(on("gpu1", told))


def test_control_characters_of_a_host_are_removed() -> None:
    evil = "\x1b]0;x\x07[bold]\r"
    told = apps({**release(OLD, result("failed", said=evil)), "by": evil, "revision": evil})
    shown = on(evil, told, box(evil, "running", evil))
    for text in (printed_status(shown), printed_releases(shown)):
        assert not set(text) & {"\x1b", "\x07", "\r"}
        assert "[bold]" in text


def test_json_of_status() -> None:
    found = fleet(on("gpu1", apps(FAILED, VERIFIED), box("app", "running", UP)), UNREACHABLE)
    document = json.loads(json.dumps(found.status_json()))
    assert document["schema"] == 1
    (one,), unreachable = document["hosts"][0]["apps"], document["hosts"][1]
    assert one["failed"].pop("result")["said"] == "exit 137"
    assert one == {
        "app": "tts",
        "state": "running",
        "ok": True,
        "release": OLD,
        "revision": "1f" * 20,
        "by": "ann@desk",
        "since": ENDED,
        "containers": [
            {"name": "app", "service": "app", "state": "running", "health": "healthy", "status": UP}
        ],
        "under_way": None,
        "cut_off": None,
        "failed": {
            "id": NEW,
            "by": "ann@desk",
            "revision": "1f" * 20,
            "rollback_of": None,
            "current": False,
            "under_way": False,
        },
    }
    assert unreachable == {
        "host": "gpu4",
        "status": "unreachable",
        "reason": "Could not connect; try",
        "apps": [],
    }


def test_json_of_releases() -> None:
    told = apps(release(NEW, None), VERIFIED, attempt=BEGUN)
    document = json.loads(
        json.dumps(fleet(on("gpu1", told, units=UNIT), name="tts").releases_json())
    )
    assert (document["schema"], document["app"]) == (1, "tts")
    new, old = document["hosts"][0]["releases"]
    assert (new["id"], new["under_way"], new["current"], new["result"]) == (NEW, True, False, None)
    assert (old["id"], old["under_way"], old["current"]) == (OLD, False, True)
    assert (old["result"]["state"], old["result"]["gap_s"]) == ("verified", 1.5)


@pytest.mark.slow
def test_over_ssh(workplace: Workplace, sshd: Sshd) -> None:
    """One exec per host; a host that cannot be read is a row with the reason."""
    runs = host(apps(FAILED, VERIFIED), box("app", "running", UP))
    inventory = workplace.inventory(
        {
            GOOD: sshd.login(sshd.recorded("runs", host="debian13-docker", probes=runs)),
            OTHER: sshd.login(sshd.recorded("no-app")),
            THIRD: sshd.login("cat >/dev/null; exit 3"),
        }
    )
    of = [str(inventory), "--app", "tts"]
    both = ["--limit", GOOD, "--limit", OTHER]
    status, all_three, releases, unknown, no_name = workplace.many(
        ["status", *of, *both, "--json"],
        ["status", *of, "--json"],
        ["releases", *of, *both],
        ["releases", str(inventory), *both, "--app", "other"],
        ["releases", str(inventory)],
    )
    assert status.exit == 0
    assert [app["ok"] for app in status.host(GOOD)["apps"]] == [True]
    assert status.host(OTHER) == {"host": OTHER, "status": "ok", "apps": []}
    assert all_three.exit == 3
    assert all_three.host(THIRD)["reason"] == "the reading failed: no output"
    assert releases.exit == 0 and OLD in releases.out and NEW in releases.out
    assert unknown.exit == 1 and "no host has an app other" in unknown.err
    assert no_name.exit == 1 and "--app" in no_name.err
    assert sshd.execs("runs") == 4


def test_the_page_lists_the_states_of_an_app() -> None:
    page = (Path(__file__).parents[2] / "docs" / "status.md").read_text("utf-8")
    states = re.findall(r"^\| `([a-z-]+)` \|", page.split("The states of an app")[1], re.M)
    assert states == [state.value for state in RunState]
