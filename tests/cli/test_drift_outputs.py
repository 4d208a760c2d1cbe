"""`gpuhost drift` over a real SSH server: history, page, metrics and notifications."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpuhost.drift.run_lock import run_lock
from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.drifting import DAY, GOOD, MUCH, applied, blank, drifting
from tests.cli.sshd import Sshd
from tests.drift.receiver import TOKEN, Receiver, receiving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


class Nights:
    """A fleet of one host, and several runs."""

    def __init__(self, workplace: Workplace, sshd: Sshd, name: str) -> None:
        self.workplace, self.sshd, self.name = workplace, sshd, name
        self.ran = 0

    def run(self, *options: str, files: dict[str, str] | None = None, **data: Any) -> Run:
        login = self.sshd.login(blank(self.sshd, self.name, files), **data)
        inventory = str(self.workplace.inventory({GOOD: login}))
        if self.ran:
            # The name of a run has a resolution of one second.
            time.sleep(1)
        self.ran += 1
        return self.workplace.gpuhost("drift", inventory, "--history", "runs", *options)


@pytest.fixture
def nights(workplace: Workplace, sshd: Sshd, request: pytest.FixtureRequest) -> Nights:
    return Nights(workplace, sshd, request.node.name)


def test_changes_since_the_last_run(nights: Nights) -> None:
    first = nights.run("--since", "last", **MUCH)
    assert first.out.startswith("No earlier run to compare with.\n")
    same = nights.run("--since", "last", "--json", **MUCH).document["since"]
    assert (same["new"], same["gone"]) == ([], [])
    repaired = nights.run("--since", "last", "--json", memory_min_gb=0).document["since"]
    assert repaired["gone"] == [{"host": GOOD, "id": "memory.total", "kind": "never applied"}]
    assert repaired["at"] > same["at"]
    again = nights.run("--since", "last", **MUCH)
    lines = again.out.splitlines()
    assert re.fullmatch(r"Since \d{4}-\d\d-\d\d \d\d:\d\d UTC: 1 new, nothing gone", lines[0])
    assert lines[1] == f"  new  {GOOD}: memory.total (never applied)"
    assert lines[3].rstrip() == "1 host: 1 pending"
    # Without --since there are no changes in the output.
    assert "since" not in nights.run("--json", **MUCH).document
    runs = nights.workplace.path / "runs"
    assert len(list(runs.iterdir())) == 5
    assert runs.stat().st_mode & 0o777 == 0o700


def test_a_host_that_left_the_inventory_is_forgotten(workplace: Workplace, sshd: Sshd) -> None:
    """A host that --limit leaves out is not forgotten."""
    login = drifting(sshd, "drift-forgotten")
    hosts = {name: {"ssh_hostname": GOOD, **login} for name in ("old", "kept")}
    command = ["drift", "inventory.py", "--history", "runs", "--since", "last", "--json"]

    def run(*names: str, limit: str) -> dict[str, Any]:
        workplace.inventory({name: hosts[name] for name in names})
        time.sleep(1)
        since: dict[str, Any] = workplace.gpuhost(*command, "--limit", limit).document["since"]
        return {word: {one["host"] for one in since[word]} for word in ("new", "gone")}

    run("old", "kept", limit="*")
    assert run("old", "kept", limit="kept") == {"new": set(), "gone": set()}
    assert run("old", "kept", limit="old") == {"new": set(), "gone": set()}
    assert run("kept", limit="kept") == {"new": set(), "gone": set()}
    assert run("old", "kept", limit="*") == {"new": {"old"}, "gone": set()}


def test_a_disk_that_will_fill(nights: Nights) -> None:
    nights.run()
    (kept,) = (nights.workplace.path / "runs").iterdir()
    run = json.loads(kept.read_text())
    free = run["hosts"][0]["disks"]["/"]
    for days in (1, 2, 3):
        at = run["at"] - days * DAY
        name = time.strftime("%Y-%m-%dT%H%M%SZ.json", time.gmtime(at))
        before = {
            **run,
            "at": at,
            "hosts": [{**run["hosts"][0], "disks": {"/": free + days * free // 4}}],
        }
        kept.with_name(name).write_text(json.dumps(before))
    found = nights.run("--json", "--since", "last").document
    findings = {one["id"]: one for one in found["hosts"][0]["findings"]}
    trend = findings["disk.trend"]
    assert (trend["status"], trend["cause"]) == ("warn", "drift")
    assert trend["actual"].startswith("/ is full in about 4 days: ")
    assert found["since"]["new"] == [{"host": GOOD, "id": "disk.trend", "kind": "warn"}]
    ignored = ({"id": "disk.*", "reason": "it is known", "until": "2999-12-31"},)
    accepted = nights.run("--json", drift_ignore=ignored).document["hosts"][0]["findings"]
    assert next(one for one in accepted if one["id"] == "disk.trend")["accepted"] is True


def test_metrics_and_page(nights: Nights) -> None:
    run = nights.run("--metrics", "gpuhost.prom", "--html", "drift.html", files=applied())
    assert (run.exit, run.err) == (2, "")
    families = text_string_to_metric_families((nights.workplace.path / "gpuhost.prom").read_text())
    values = {
        (one.name.removeprefix("gpuhost_drift_"), one.labels.get("status")): one.value
        for family in families
        for one in family.samples
        if "kind" not in one.labels
    }
    assert values["host_status", "drift"] == 1
    assert values["exit_status", None] == 2
    assert abs(values["last_run_timestamp_seconds", None] - time.time()) < 60
    assert 0 < values["duration_seconds", None] < 60
    page = (nights.workplace.path / "drift.html").read_text()
    assert page.startswith("<!")
    assert GOOD in page


def test_notifications(nights: Nights, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.got.clear()
    monkeypatch.setenv("GPUHOST_NOTIFY", f"{receiver.url()} {receiver.url()}")
    runs = [nights.run(**MUCH), nights.run(**MUCH)]
    assert receiver.got == [], "nothing to compare with, then nothing new"
    runs.append(nights.run(files=applied(**MUCH), **MUCH))
    assert len(receiver.got) == 2
    assert receiver.got[0]["title"].startswith("gpuhost drift: ")
    assert f"new {GOOD}: memory.total (drift)" in receiver.got[0]["message"]
    assert [run.exit for run in runs] == [0, 0, 2]
    assert TOKEN not in "".join(run.out + run.err for run in runs)


def test_of_two_parallel_runs_one_notifies(nights: Nights, receiver: Receiver) -> None:
    receiver.got.clear()
    nights.run(memory_min_gb=0)
    options = ["drift", "inventory.py", "--history", "runs", "--notify", receiver.url()]
    login = nights.sshd.login(
        f"sleep 1; {blank(nights.sshd, nights.name, applied(**MUCH))}", **MUCH
    )
    nights.workplace.inventory({GOOD: login})
    time.sleep(1)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: nights.workplace.gpuhost(*options), range(2)))
    assert [run.exit for run in runs] == [2, 2]
    assert len(receiver.got) == 1
    assert len(list((nights.workplace.path / "runs").iterdir())) == 3


# Python raises KeyboardInterrupt in the thread that runs: with gevent, that may be any.
BUSY_THREAD = """
import threading, time

def work():
    while True:
        sum(range(100_000))
        time.sleep(0)

threading.Thread(target=work, daemon=True).start()
"""


@pytest.mark.parametrize("more", ["", BUSY_THREAD], ids=["alone", "busy thread"])
def test_ctrl_c_while_waiting_for_another_run(workplace: Workplace, sshd: Sshd, more: str) -> None:
    """The results are still shown."""
    inventory = workplace.inventory({GOOD: drifting(sshd, "drift-awaits")})
    inventory.write_text(inventory.read_text() + more)
    runs = workplace.path / "runs"
    runs.mkdir()
    with run_lock(runs, print):
        process = subprocess.Popen(
            [GPUHOST, "drift", "inventory.py", "--history", "runs", "--json"],
            cwd=workplace.path,
            env=workplace.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("gpuhost: waiting for another run")
        # The busy thread runs now.
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    found = json.loads(out)
    assert (found["exit"], found["interrupted"]) == (130, True)
    assert found["hosts"][0]["status"] == "drift"
    assert list(runs.iterdir()) == []


@pytest.mark.parametrize("behaviour", ["refuse", "hang"])
def test_a_notifier_that_fails(nights: Nights, receiver: Receiver, behaviour: str) -> None:
    url = receiver.url(behaviour)
    nights.run("--notify", url, memory_min_gb=0)
    began = time.monotonic()
    run = nights.run("--notify", url, "--json", **MUCH)
    assert time.monotonic() - began < 40
    assert run.document["exit"] == run.exit == 0
    assert run.err == "gpuhost: the notification through json failed\n"
    # The finding is saved, so it is not sent again.
    assert nights.run("--notify", url, **MUCH).err == ""


OPTION_ERRORS = {
    "an empty history": (["--history", ""], "--history is empty: give a path"),
    "an empty page": (["--html", ""], "--html is empty: "),
    "empty metrics": (["--metrics="], "--metrics is empty: "),
    "since without history": (["--since", "last"], "--since needs --history DIR"),
    "notify without history": (
        ["--notify", f"json://{TOKEN}@127.0.0.1"],
        "--notify (or GPUHOST_NOTIFY) needs --history DIR",
    ),
    "an unusable URL": (
        ["--history", "runs", "--notify", "json://127.0.0.1", "--notify", f"nosuch://{TOKEN}"],
        "apprise cannot use URL 2 of 2",
    ),
    "html": (["--html", "no/such/file.html"], "--html no/such/file.html: no such directory"),
    "a directory": (["--metrics", "."], "--metrics .: is a directory"),
    "metrics": (["--metrics", "/proc/self/x.prom"], "cannot write in /proc/"),
    "history": (
        ["--history", "no/such/runs"],
        "--history no/such/runs: cannot create no/such/runs",
    ),
    "history is a file": (["--history", "inventory.py"], "cannot create inventory.py: File exists"),
}


def test_option_errors_are_reported_before_any_host_is_contacted(
    workplace: Workplace, sshd: Sshd
) -> None:
    workplace.inventory({GOOD: sshd.login(blank(sshd, "drift-mistakes"))})
    commands = [["drift", "inventory.py", *options] for options, _ in OPTION_ERRORS.values()]
    for run, (_, said) in zip(workplace.many(*commands), OPTION_ERRORS.values(), strict=True):
        assert (run.exit, run.out) == (1, "")
        assert run.err.startswith("Error: ")
        assert said in run.err
        assert run.err.count("\n") == 1
        assert TOKEN not in run.err
    assert not sshd.count_file("drift-mistakes").exists()


def test_a_url_from_the_environment_needs_a_history_too(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUHOST_NOTIFY", f"json://{TOKEN}@127.0.0.1")
    run = workplace.gpuhost("drift", "gpu1.invalid,")
    assert (run.exit, run.out) == (1, "")
    assert "GPUHOST_NOTIFY) needs --history" in run.err
    assert TOKEN not in run.err


def test_a_reader_of_only_the_first_line_does_not_affect_the_run(
    workplace: Workplace, sshd: Sshd
) -> None:
    workplace.inventory({GOOD: drifting(sshd, "drift-head")})
    command = f"{GPUHOST} drift inventory.py --history runs --html drift.html | head -c 1"
    workplace.run("sh", "-c", command)
    assert len(list((workplace.path / "runs").iterdir())) == 1
    assert (workplace.path / "drift.html").is_file()


def test_an_output_that_cannot_be_written_at_the_end(workplace: Workplace, sshd: Sshd) -> None:
    """The report is shown, the file is missing, and the run fails."""
    gone = workplace.path / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; {blank(sshd, 'drift-gone')}"
    workplace.inventory({GOOD: sshd.login(command)})
    run = workplace.gpuhost("drift", "inventory.py", "--json", "--metrics", "gone/gpuhost.prom")
    assert run.document["exit"] == 0
    assert run.exit == 1
    assert run.err == "gpuhost: --metrics: not written: No such file or directory\n"


def test_foreign_files_in_the_history_are_named_on_stderr(nights: Nights) -> None:
    (nights.workplace.path / "runs").mkdir()
    (nights.workplace.path / "runs" / "notes.txt").touch()
    run = nights.run("--json", "--since", "last")
    assert run.document["since"]["at"] is None
    assert run.err == ("gpuhost: runs/notes.txt is ignored: not the name of a run\n")


def test_help_shows_all_outputs(workplace: Workplace) -> None:
    said = workplace.gpuhost("drift", "--help").out
    for words in (
        "--html drift.html",
        "--metrics /var/lib/node_exporter/gpuhost.prom",
        "--history runs --since last",
        "GPUHOST_NOTIFY=slack://",
    ):
        assert words in said
