"""Texts that no honest host sends: each is read in the time after which a worker would be ended.

Deploys read hosts in one process, which nothing ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from gpuhost.checks.registry import run_checks
from gpuhost.fleet.worker import JUDGING_CPU_SECONDS
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.probes import Probe, Probes
from tests.cpu_budget import cpu_budget
from tests.recorded import probes

EXEC = "ExecStart={{ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd {} ; ignore_errors=no ; }}\n"
UNIX = "0: 00000002 00000000 00010000 0001 01 9{}/run/x.sock\n"
SOURCE = "deb http://deb.example.org/debian trixie main contrib non-free non-free-firmware"
KERNEL = {"kernels": "vmlinuz-6.1.0-9-amd64\n"}
GRUB = "/boot/grub/grub.cfg:"
TEXTS: dict[str, dict[str, str]] = {
    "files": {"files": "\n" * 400_000},
    "unit words": {"docker_unit": EXEC.format("$A " * 5000) + f'set "A={"x " * 5000}"\n'},
    "unit text": {"docker_unit": EXEC.format("${A}" * 50_000) + f'set "A={"x" * 50_000}"\n'},
    "unit starts": {"docker_unit": "ExecStart=" + " ; argv[]=" * 500_000},
    "cgroup": {"engines": f"/proc/7/comm:dockerd\n/proc/7/cgroup:0::/{'a' * 500_000}\n"},
    "cgroup units": {"engines": f"/proc/7/comm:crio\n/proc/7/cgroup:0::/{'.service' * 90_000}\n"},
    "sockets": {"engine_sockets": UNIX.format(" 00010000 " * 100_000)},
    "kernels": {
        "kernels": "".join(f"vmlinuz-{number}\n" for number in range(50_000)),
        "boot_entry": f"/etc/default/grub:GRUB_DEFAULT={'1' * 1000}\n",
    },
    "title": KERNEL | {"boot_entry": f"{GRUB}menuentry '{'a' * 1_000_000}' {{\n"},
    "long setting": KERNEL | {"boot_entry": f"/etc/default/grub:GRUB_DEFAULT={'a' * 1_000_000}\n"},
    "titles": KERNEL | {"boot_entry": f"{GRUB}menuentry 'a' {{\n" * 100_000},
    "correction": KERNEL
    | {"boot_entry": f"{GRUB}menuentry 'a' {{\n{GRUB}" + 'if [ "x$default" = \'' * 100_000},
    "default": KERNEL
    | {"boot_entry": f'{GRUB}menuentry a {{\n{GRUB}set default="{">" * 1_000_001}"\n'},
    "apt": {"apt_sources": "/etc/apt/sources.list\n" + f":{SOURCE}\n" * 100_000},
    "columns": {"disks": f"/{' ' * 200_000}\n"},
    "listeners": {"listeners": "tcp LISTEN 0 0 0.0.0.0:1 " + " " * 500_000},
}


@pytest.fixture
def limit() -> Iterator[None]:
    """As for a worker."""
    with cpu_budget(JUDGING_CPU_SECONDS):
        yield


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_in_time(limit: None, name: str) -> None:
    texts = {probe: Probe(0, text) for probe, text in TEXTS[name].items()}
    by_name = {**probes("debian13").by_name, **texts}
    snapshot = Snapshot(Probes(by_name))
    with suppress(NotRead):
        assert snapshot.kernels.boot
    assert run_checks(snapshot, Settings())
