"""gpuhost drift on a provisioned host with an app: what it finds, and how that is repaired."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from gpuhost.checks.deployed import SETTLING_S
from gpuhost.checks.deployed.backups import SPREAD_S
from tests.apps import base_image
from tests.e2e.drifting import Drift, drift
from tests.e2e.releasing import App
from tests.e2e.tampers import APP, FSTAB, GROUPS, MOUNT, SWAP, Tamper
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = pytest.mark.lab

SETTLED_S = 180
# All persistent files, except those that the host itself writes all the time.
FILES = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log "
    "-o -path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/systemd "
    "-o -path /root/.cache \\) -prune -o -printf '%p %T@ %s %m %u\\n' | sort"
)


@dataclass(frozen=True)
class Declared:
    """A host with an app, the project directory of its user, and the settings."""

    host: LabHost
    app: App
    settings: dict[str, Any]

    def provision(self) -> None:
        ended = self.app.run(self.host, deploy="gpu_host.py", **self.settings)
        assert ended.status == 0, ended.output

    def drift(self, *options: str, **settings: Any) -> Drift:
        values = {**self.settings, **settings}
        return drift(self.host, *options, project=self.app.project, **values)


@pytest.fixture(scope="module")
def declared(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Declared:
    """A blank host that is provisioned, and then provisioned with its app in one run."""
    (host,) = hosts(HostSpec("drift", "trixie", card="l40s-610"))
    app = App(APP, tmp_path_factory.mktemp("project"))
    app.write(revision="good")
    made = Declared(host, app, {"apps": [APP]})
    host.run(f"mkdir {MOUNT} && echo '{FSTAB}' >>/etc/fstab && mount {MOUNT}")
    bare = Declared(host, app, {})
    bare.provision()
    base_image.load(host)
    made.provision()
    return made


@pytest.fixture(scope="module")
def usual(declared: Declared) -> dict[str, str]:
    """The findings of an intact host: warnings at most."""
    result = declared.drift()
    assert (result.exit, result.status) == (0, "ok"), result.wrong
    return result.wrong


@pytest.mark.matrix
def test_a_clean_host_stays_clean(declared: Declared, usual: dict[str, str]) -> None:
    """20 times in a row, after restarts of a container and of the engine, and with a large log."""
    for _ in range(20):
        result = declared.drift()
        assert (result.exit, result.wrong) == (0, usual)
    for what in (
        f"docker restart {APP}-app-1",
        "systemctl restart docker",
        f"head -c 30000000 /dev/zero >>/opt/gpuhost/{APP}/shared/data/app.log",
    ):
        declared.host.run(what)
        assert wait_until_settled(declared, usual) == usual, what


@pytest.mark.matrix
def test_a_rebooted_host_is_clean(declared: Declared, usual: dict[str, str]) -> None:
    declared.host.reboot()
    assert wait_until_settled(declared, usual) == usual


def wait_until_settled(declared: Declared, usual: dict[str, str]) -> dict[str, str]:
    """The findings after everything has started; until then, nothing may be reported as drift."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        result = declared.drift()
        assert "drift" not in result.wrong.values(), result.wrong
        if result.wrong == usual or time.monotonic() > deadline:
            return result.wrong
        time.sleep(3)


def test_drift_changes_no_file(declared: Declared) -> None:
    before = declared.host.run(FILES).stdout.splitlines()
    declared.drift()
    after = declared.host.run(FILES).stdout.splitlines()
    assert len(before) > 1000
    assert set(after) ^ set(before) == set()


def test_a_stopped_engine_is_reported_and_not_started(declared: Declared) -> None:
    declared.host.run("systemctl stop docker.socket docker")
    try:
        result = declared.drift()
        active = declared.host.run("systemctl is-active docker", check=False).stdout.strip()
        assert active == "inactive"
        assert result.wrong["docker.engine"] == "drift"
        assert result.exit == 3, "what only the engine knows could not be read"
    finally:
        declared.host.run("systemctl start docker.socket docker")


TEMPORARY = "/run /dev/shm /tmp"


def test_a_host_without_free_space_reports_the_reason(
    declared: Declared, usual: dict[str, str]
) -> None:
    """If every directory is full, the row has the reason, and no file is left. One is enough."""
    host = declared.host
    host.run(
        "mount -o remount,size=2m /run && mount -t tmpfs -o size=64k tmpfs /tmp && "
        f"for place in {TEMPORARY}; do head -c 1G /dev/zero >$place/fill 2>/dev/null || :; done"
    )
    try:
        full = declared.drift()
        left = host.run(f"find {TEMPORARY} -name 'gpuhost.*'").stdout
        host.run("rm /dev/shm/fill")
        partly_full = declared.drift()
    finally:
        host.run("rm -f /run/fill /dev/shm/fill; umount /tmp; mount -o remount,size=50% /run")
    assert (full.exit, full.status) == (3, "error")
    assert "no directory to write in: /run, /dev/shm and /tmp are full" in full.output
    assert left == ""
    # Nothing can be started in a container while /run is full.
    expected = {**usual, f"app.{APP}.cards": "unknown", "disk.full": "drift"}
    assert (partly_full.exit, partly_full.wrong) == (3, expected)


def test_a_change_in_the_repository_is_pending(declared: Declared, usual: dict[str, str]) -> None:
    result = declared.drift(docker_log_max_size="20m")
    assert (result.exit, result.status) == (0, "pending")
    assert result.wrong == {**usual, "docker.config": "pending"}
    assert declared.drift("--pending-fails", docker_log_max_size="20m").exit == 2
    declared.app.write(revision="good", edits={"x-gpuhost.keep_releases": 4})
    try:
        result = declared.drift()
    finally:
        declared.app.write(revision="good")
    assert result.wrong == {**usual, f"app.{APP}.release": "pending"}


def test_a_known_finding_is_accepted_until_its_date(
    declared: Declared, usual: dict[str, str]
) -> None:
    declared.host.run("apt-mark unhold nvidia-container-toolkit")
    known = {"id": "toolkit.held", "reason": "an upgrade is tried", "until": "2999-12-31"}
    try:
        assert declared.drift().exit == 2
        assert declared.drift(drift_ignore=[known]).exit == 0
        assert declared.drift(drift_ignore=[{**known, "until": "2020-01-01"}]).exit == 2
    finally:
        declared.host.run("apt-mark hold nvidia-container-toolkit")
    assert declared.drift().wrong == usual


OLDER = f"""
import json, pathlib, time
for path in pathlib.Path("/opt/gpuhost/{APP}/backups").glob("*/manifest.json"):
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({{**manifest, "taken": manifest["taken"] - 3 * 86400}}))
plan = json.loads(pathlib.Path("/opt/gpuhost/{APP}/current/plan.json").read_text())
print(plan["backup"]["limit_s"], time.clock_gettime(time.CLOCK_BOOTTIME))
"""


@pytest.mark.matrix
def test_an_old_backup_is_drift_once_a_newer_one_was_due(
    declared: Declared, usual: dict[str, str]
) -> None:
    """After a machine was off, its timer first makes the missed backup."""
    host, backup = declared.host, f"systemctl start gpuhost-backup-{APP}"
    host.run(backup)
    limit, running = host.run("python3 -", stdin=OLDER.encode()).stdout.split()
    is_late = float(running) > SPREAD_S + 2 * float(limit)
    try:
        result = declared.drift()
        assert result.wrong == usual | ({f"app.{APP}.backups": "drift"} if is_late else {})
    finally:
        # The name of a backup is its time in seconds.
        host.run(f"sleep 1; {backup}")
    assert declared.drift().wrong == usual


SETTLING = {f"app.{APP}.containers", f"app.{APP}.ports"}
# `make test` runs this group; the rest is the matrix.
IN_EVERY_RUN = ("app-files",)
CASES = [
    pytest.param(group, id=name, marks=() if name in IN_EVERY_RUN else (pytest.mark.matrix,))
    for name, group in GROUPS.items()
]


@pytest.mark.parametrize("group", CASES)
def test_changes_by_hand_are_found_and_repaired(
    declared: Declared, usual: dict[str, str], group: tuple[Tamper, ...]
) -> None:
    """Each change gives its finding and no other, as drift; then the deploy repairs it."""
    if SETTLING & {id for tamper in group for id in tamper.finds}:
        wait_for_the_engine(declared.host)
    expected = dict(usual)
    repairs: list[str] = []
    try:
        for tamper in group:
            repairs.append(tamper.repair or "true")
            declared.host.run(tamper.by)
            result = declared.drift()
            expected |= dict.fromkeys(tamper.finds, "drift")
            expected.pop(tamper.hides, None)
            assert result.wrong == expected, tamper.what
            assert result.exit in (0, 2), tamper.what
    finally:
        for repair in repairs:
            declared.host.run(repair)
        declared.provision()
    assert wait_until_settled(declared, usual) == usual


DOCKERD = "/usr/bin/dockerd"
BREAK = f"mv {DOCKERD} {DOCKERD}.kept && systemctl stop docker.socket docker"

REPAIR = (
    f"mv {DOCKERD}.kept {DOCKERD}; systemctl reset-failed docker.socket docker; "
    "systemctl start docker.socket docker || { journalctl -n 30 -u docker; exit 1; }"
)


@pytest.mark.matrix
def test_what_does_not_need_the_broken_engine_is_repaired(
    declared: Declared, usual: dict[str, str]
) -> None:
    """One deploy repairs firewall, updates and nginx, and says what it has skipped; it is red."""
    host = declared.host
    host.run(f"{BREAK} && ufw --force disable && systemctl stop nginx")
    host.run("rm /etc/apt/apt.conf.d/*gpuhost*")
    try:
        ended = declared.app.run(host, deploy="gpu_host.py", **declared.settings)
        found = declared.drift().wrong
    finally:
        host.run(REPAIR)
    assert ended.status == 1, ended.output
    assert "failed: Container engine" in ended.output
    assert f"skipped: Release {APP}: Container engine failed" in ended.output
    assert "skipped: GPU in a container: Container engine failed" in ended.output
    assert not {"firewall.enabled", "system.updates", "nginx.running"} & found.keys()
    assert found["docker.engine"] == "drift"
    declared.provision()
    assert wait_until_settled(declared, usual) == usual


def wait_for_the_engine(host: LabHost) -> None:
    """Wait until a missing container no longer counts as starting."""
    times = "cat /proc/uptime; systemctl show -p ActiveEnterTimestampMonotonic --value docker"
    uptime, started = host.run(times).stdout.splitlines()
    time.sleep(max(0, SETTLING_S + 1 - (float(uptime.split()[0]) - int(started) / 1e6)))


def test_number_of_tampers() -> None:
    every = [tamper for group in (*GROUPS.values(), SWAP) for tamper in group]
    assert len(every) == len({tamper.what for tamper in every}) == 58
