"""For any output of a host, each part is read, or raises NotRead with the reason."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.snapshot import NotRead, Probe, Probes, Snapshot
from gpuhost.snapshot.disks import Disk
from gpuhost.snapshot.dpkg import Lock
from tests.recorded import HOSTS, probes

PARTS = (
    "system", "clock", "hostname", "reboot", "dpkg", "updates", "client_proxy",
    "memory", "paths", "disks", "filesystems", "kernel_log",
    "units", "ssh", "mounts", "sysctl", "swap", "docker_unit", "engines", "engine_sockets",
    "drift_keys", "local_networks",
)  # fmt: skip
FILES = (
    "/etc/os-release", "/etc/hosts", "/etc/fstab", "/proc/meminfo", "/proc/locks",
    "/proc/self/mountinfo", "/proc/1/comm", "/proc/device-tree/model", "/run/reboot-required.pkgs",
    "/proc/net/route", "/etc/resolv.conf",
    "/run/systemd/container", "/sys/fs/cgroup/memory.max", "/var/lib/gpuhost/proxy.json",
)  # fmt: skip
PROBES = (
    "clock", "kernel", "identity", "sudo_user", "clock_error", "resolved_hostname", "processes",
    "apt_locks", "dpkg_updates", "dpkg_unfinished", "apt_config", "client_proxies", "packages",
    "units", "disks", "filesystems", "containerd_root", "stat", "hashes", "paths",
    "kernel_log", "failed_units", "sshd", "listeners", "ssh_connection",
    "sysctl_files", "fstab_targets",
    "docker_unit", "engines", "engine_sockets", "drift_keys", "docker_validation", "dgx_release",
)  # fmt: skip

_recorded: dict[str, Any] = yaml.safe_load((HOSTS / "debian13.yaml").read_text("utf-8"))
TEXTS = [
    *_recorded["files"].values(),
    *(probe.get("out", "") for probe in _recorded["probes"].values()),
    '{"client": 5}',
    "[" * 5000,
]


def _damaged(text: str, start: int, end: int, put: str) -> str:
    return text[: start % (len(text) + 1)] + put + text[end % (len(text) + 1) :]


texts = st.one_of(
    st.text(max_size=300),
    st.sampled_from(TEXTS).map(lambda text: text.replace("\n", "\r\n")),
    st.builds(
        _damaged,
        st.sampled_from(TEXTS),
        st.integers(0, 5000),
        st.integers(0, 5000),
        st.text(st.sampled_from("²٣\0\ufffd\t :=-/\"'\\\n9a中"), max_size=12),
    ),
)
statuses = st.sampled_from([0, 0, 0, 1, 2, 126, 127, None])


@given(
    files=st.dictionaries(st.sampled_from(FILES), st.none() | texts, max_size=3),
    changed=st.dictionaries(
        st.sampled_from(PROBES),
        st.none() | st.fixed_dictionaries({"rc": statuses, "out": texts, "err": texts}),
        max_size=3,
    ),
)
def test_only_not_read_is_raised(files: dict[str, Any], changed: dict[str, Any]) -> None:
    snapshot = Snapshot(probes("debian13", files, changed))
    for part in PARTS:
        try:
            getattr(snapshot, part)
        except NotRead as reason:
            assert str(reason)


@pytest.mark.parametrize("part", PARTS)
def test_no_reading_at_all(part: str) -> None:
    with pytest.raises(NotRead, match="did not run"):
        getattr(Snapshot(Probes({})), part)


def test_files_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if there is nothing in them: each reader asks for some."""
    outputs: list[str] = []
    monkeypatch.setattr(
        "gpuhost.snapshot.probes._files_by_path", lambda out: outputs.append(out) or ()
    )
    one = Probes({"files": Probe(0, "\n" * 100)})
    assert [one.file(path) for path in ("/a", "/a", "/b")] == [None] * 3
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "processes",
    [
        "/proc/7/comm:sh\n/proc/8/comm:apt-get\n/proc/9/comm:apt-get\n",
        "    7 sh\n    8 apt-get\n    9 apt-get\n",
    ],
    ids=["grep", "ps"],
)
def test_lock_owner(processes: str) -> None:
    """Only a write lock on the same inode counts; waiters (`->`) and readers do not."""
    snapshot = Snapshot(
        probes(
            "debian13",
            {
                "/proc/locks": "1: POSIX  ADVISORY  READ  7 00:87:2450444 0 EOF\n"
                "2: POSIX  ADVISORY  WRITE 8 00:87:2449639 0 EOF\n"
                "2: -> POSIX  ADVISORY  WRITE 9 00:87:2449639 0 EOF\n"
                "3: FLOCK  ADVISORY  WRITE 10 00:87:99 0 EOF\n"
            },
            {"processes": {"out": processes}},
        )
    )
    assert snapshot.dpkg.locks == (Lock("/var/lib/apt/lists/lock", 8, "apt-get"),)


@pytest.mark.parametrize(
    ("path", "mounted_on"),
    [
        ("/var/lib/docker/overlay2", "/var/lib/docker"),
        ("/var/lib/containerd", "/"),
        ("/srv/swap/deep/er", "/srv/swap"),
        ("/srv/swapfile", "/"),
        ("/", "/"),
    ],
)
def test_the_file_system_that_holds_a_path(path: str, mounted_on: str) -> None:
    disk = Snapshot(probes("debian13")).disks.under(path)
    assert isinstance(disk, Disk)
    assert disk.mounted_on == mounted_on
