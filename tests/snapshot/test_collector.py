"""The collector on this machine: it ends in time, changes nothing, and needs few commands."""

from __future__ import annotations

import base64
import ctypes
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import all_checks, run_checks
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead
from tests.snapshot.local import collect, command

pytestmark = pytest.mark.slow

# The collector's longest limit for one of these is 10 s; `timeout -k 1`, and 2 s for the watcher.
HUNG_SECONDS = 25
ESSENTIAL = (
    "base64", "cat", "env", "grep", "gzip", "head", "id", "mktemp", "printenv", "rm", "sh", "stat",
    "tar", "timeout", "uname",
)  # fmt: skip
FREEZER = Path("/sys/fs/cgroup/freezer")


def test_a_reading_is_complete() -> None:
    reply = collect()
    assert reply.status == 0
    assert reply.err == b""
    assert reply.snapshot.system.now == pytest.approx(time.time(), abs=30)
    assert reply.snapshot.memory.total > 0
    assert reply.snapshot.disks.under("/").size > 0


def test_the_reply_has_no_empty_file_but_the_statuses_of_what_has_not_ended(
    tmp_path: Path,
) -> None:
    command(tmp_path / "bin", "df", "sleep 300")
    reply = collect(commands=tmp_path / "bin")
    with tarfile.open(fileobj=BytesIO(base64.b64decode(reply.out))) as archive:
        empty = {member.name for member in archive if not member.size}
    assert {Path(name).suffix for name in empty} <= {".rc"}
    assert reply.snapshot.probes.get("disks").rc is None


@pytest.mark.parametrize("body", ["sleep 300", "trap '' TERM; sleep 300 & wait; sleep 300"])
def test_a_command_that_hangs_times_out(tmp_path: Path, body: str) -> None:
    """With or without a handler of SIGTERM: other probes succeed, and no process is left."""
    mark = f"gpuhost-{uuid4()}"
    command(tmp_path / "bin", "df", f"exec sh -c '{body.replace(chr(39), chr(34))}' {mark}")
    began = time.monotonic()
    snapshot = collect(commands=tmp_path / "bin").snapshot
    assert time.monotonic() - began < HUNG_SECONDS
    assert snapshot.probes.get("disks").rc is None
    with pytest.raises(NotRead, match="df timed out: a file system hangs"):
        snapshot.disks.under("/")
    assert snapshot.memory.total > 0
    assert not _running(mark)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Path]:
    """A `df` that freezes itself: like a process in D state, even SIGKILL does not end it."""
    cell = FREEZER / f"gpuhost-{uuid4()}"
    try:
        cell.mkdir()
    except OSError as error:
        pytest.skip(f"no freezer that this user may use: {error}")
    freeze = f"echo $$ >{cell}/cgroup.procs; echo FROZEN >{cell}/freezer.state; sleep 300"
    command(tmp_path / "bin", "df", freeze)
    yield tmp_path / "bin"
    left = (cell / "cgroup.procs").read_text()
    for pid in (cell / "cgroup.procs").read_text().split():
        os.kill(int(pid), 9)
    (cell / "freezer.state").write_text("THAWED")
    deadline = time.monotonic() + 10
    while (cell / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.05)
    cell.rmdir()
    assert left, "the command ended after all"


def test_a_command_that_cannot_be_killed_times_out(frozen: Path) -> None:
    began = time.monotonic()
    snapshot = collect(commands=frozen).snapshot
    assert time.monotonic() - began < HUNG_SECONDS
    assert snapshot.probes.get("disks") == snapshot.probes.get("filesystems")
    assert snapshot.probes.get("disks").rc is None
    assert snapshot.memory.total > 0
    statuses = {
        finding.id: finding.status for finding in run_checks(snapshot, Settings(), ["disk"])
    }
    assert statuses.pop("disk.mounts") is Status.OK, "it asks no file system"
    assert set(statuses.values()) == {Status.UNKNOWN}


def test_missing_commands_are_data(tmp_path: Path) -> None:
    """With almost no command installed, every check still has a result."""
    (tmp_path / "bin").mkdir()
    for name in ESSENTIAL:
        real = shutil.which(name)
        assert real, name
        (tmp_path / "bin" / name).symlink_to(real)
    reply = collect(commands=tmp_path / "bin", nothing_else=True)
    assert reply.status == 0
    snapshot = reply.snapshot
    assert snapshot.probes.get("kernel").rc == 0
    for name in ("clock", "disks", "packages", "units", "clock_error", "resolved_hostname"):
        assert snapshot.probes.get(name).rc == 127, name
    findings = {finding.id: finding for finding in run_checks(snapshot, Settings())}
    assert len(findings) == len(all_checks())
    assert findings["disk.free"].status is Status.UNKNOWN


def test_containers_that_cannot_be_listed_are_not_read(tmp_path: Path) -> None:
    command(tmp_path / "bin", "systemctl", "exit 0")
    fails = "case $1 in ps) echo 'the engine is overloaded' >&2; exit 1;; esac"
    command(tmp_path / "bin", "docker", fails)
    with pytest.raises(NotRead, match="the engine is overloaded"):
        _ = collect(commands=tmp_path / "bin").snapshot.containers


@pytest.mark.parametrize("ids", ["", "5f\n6a\n"])
def test_every_container_is_described(tmp_path: Path, ids: str) -> None:
    command(tmp_path / "bin", "systemctl", "exit 0")
    script = r"""for id; do case $id in 5f|6a) echo "{\"name\": \"/$id\"}";; esac; done"""
    listed = f"case $1 in ps) printf '{ids}';; container) {script};; esac"
    command(tmp_path / "bin", "docker", listed.replace("\n", "\\n"))
    described = collect(commands=tmp_path / "bin").snapshot.containers.all
    assert [script.name for script in described] == ids.split()


def test_bytes_that_are_not_text_are_transferred(tmp_path: Path) -> None:
    command(tmp_path / "bin", "uname", r"printf 'Linux g\351nial\377 6.1 x86_64\n'")
    assert collect(commands=tmp_path / "bin").snapshot.system.hostname == "g\ufffdnial\ufffd"


def test_the_engine_of_the_host_is_asked_whatever_the_login_names(tmp_path: Path) -> None:
    """Guides for rootless engines write DOCKER_HOST to /etc/environment
    (ansible-role-docker-rootless#22).
    """
    command(tmp_path / "bin", "systemctl", "exit 0")
    command(tmp_path / "bin", "docker", "env | grep ^DOCKER_")
    elsewhere = {"DOCKER_HOST": "unix:///run/user/1000/docker.sock", "DOCKER_TLS_VERIFY": "1"}
    reply = collect(commands=tmp_path / "bin", environment=elsewhere)
    assert reply.probes.get("docker_info").out == "DOCKER_CONTEXT=default\n"


def test_an_unprivileged_user_reads_a_part() -> None:
    reply = collect(unprivileged=True)
    assert reply.status == 0
    assert not reply.snapshot.system.root
    assert reply.snapshot.memory.total > 0
    findings = {finding.id: finding for finding in run_checks(reply.snapshot, Settings())}
    assert findings["system.privileges"].status is Status.FAIL
    assert findings["memory.total"].status in (Status.OK, Status.FAIL)


def test_no_writable_directory_is_an_error_with_a_reason(tmp_path: Path) -> None:
    command(tmp_path / "bin", "mktemp", "exit 1")
    reply = collect(commands=tmp_path / "bin")
    assert reply.status == 70
    assert reply.out == b""
    assert b"no directory to write in" in reply.err


@pytest.mark.parametrize("first", ["/run", "/dev/shm"])
def test_another_writable_directory_is_used(tmp_path: Path, first: str) -> None:
    real = shutil.which("mktemp")
    refuse = f'case $2 in {first}/*) exit 1;; esac; exec {real} "$@"'
    command(tmp_path / "bin", "mktemp", refuse)
    assert collect(commands=tmp_path / "bin").snapshot.memory.total > 0


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    """The collector removes its folder, even after a command hung."""
    made = tmp_path / "made"
    command(tmp_path / "bin", "date", "sleep 300")
    command(tmp_path / "bin", "mktemp", f'{shutil.which("mktemp")} "$@" | tee -a {made}')
    assert collect(commands=tmp_path / "bin").snapshot.probes.get("clock").rc is None
    folders = made.read_text().split()
    assert len(folders) == 1
    assert not Path(folders[0]).exists()


def test_what_is_read_at_once_times_out_together(tmp_path: Path) -> None:
    """Nothing ends what hangs with a disk: neither the reading nor its connection waits."""
    command(tmp_path / "bin", "printenv", "exec sleep 40")
    began = time.monotonic()
    snapshot = collect(commands=tmp_path / "bin").snapshot
    assert time.monotonic() - began < HUNG_SECONDS
    assert snapshot.probes.get("sudo_user").rc is None
    assert snapshot.disks.under("/").size > 0


PR_SET_CHILD_SUBREAPER = 36


def test_a_reading_costs_less_than_half_a_second_of_processor(tmp_path: Path) -> None:
    """Including orphans: this process inherits them, and counts their time."""
    libc = ctypes.CDLL(None)
    pid = os.fork()
    if pid == 0:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        collect()
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break
        used = os.times()
        spent = used.children_user + used.children_system
        (tmp_path / "spent").write_text(str(spent))
        os._exit(0)
    os.waitpid(pid, 0)
    assert 0 < float((tmp_path / "spent").read_text()) < 0.5


def _running(mark: str) -> list[str]:
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in line and process.name != str(os.getpid()):
            processes.append(line)
    return processes
