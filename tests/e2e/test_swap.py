"""Swap on real hosts. They share the swap of one kernel, so all tests of it are in this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.e2e.drifting import drift
from tests.e2e.tampers import SWAP
from tests.e2e.testinfra_host import connect_testinfra
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec
from tests.lab.machine_swap import machine_swap_gb

pytestmark = pytest.mark.lab

ALONE = "tests/e2e/swap_alone.py"
SIZE = 256 * 1024 * 1024
# What the machine under the lab has counts as swap of the host.
OF_MACHINE = machine_swap_gb()
SETTINGS: dict[str, Any] = {"swap_size_gb": OF_MACHINE + 0.25}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, hosts: Hosts) -> Iterator[LabHost]:
    """A host of each release; its swap is removed after the test."""
    (booted,) = hosts(HostSpec(f"swap-{request.param}", request.param))
    yield booted
    booted.run(f"swapoff {booted.state.swap_path}; rm -f {booted.state.swap_path}", check=False)


def provision(host: LabHost, **settings: Any) -> Run:
    return deploy(host, deploy=ALONE, **{**SETTINGS, **settings})


def swap(host: LabHost, **settings: Any) -> dict[str, str]:
    """The status of swap's checks, by id."""
    status = check(host, **{**SETTINGS, **settings}).status
    return {id: value for id, value in status.items() if id.startswith("swap.")}


OK = dict.fromkeys(("swap.boot", "swap.mode", "swap.size", "swap.swappiness"), "ok")


def active(host: LabHost) -> list[str]:
    """Path and bytes of the host's own area; [] if there is none."""
    areas = host.run("swapon --show=NAME,SIZE --bytes --noheadings").stdout.splitlines()
    own = [area.split() for area in areas if area.split()[0] == host.state.swap_path]
    return own[0] if own else []


@pytest.mark.every_release
def test_swap_is_created_and_a_second_run_changes_nothing(host: LabHost) -> None:
    path = host.state.swap_path
    assert provision(host).status == 0
    assert active(host) == [path, str(SIZE - 4096)]
    assert f"{path} none swap sw 0 0\n" in host.run("cat /etc/fstab").stdout
    assert host.run(f"stat -c '%a %U %s' {path}").stdout == f"600 root {SIZE}\n"
    assert host.run("cat /etc/sysctl.d/zz-gpuhost-swap.conf").stdout == "vm.swappiness = 10\n"
    assert host.run("cat /proc/sys/vm/swappiness").stdout == "10\n"
    assert swap(host) == OK
    again = provision(host)
    assert (again.status, again.changed) == (0, {})


def test_the_whole_deploy_creates_it(hosts: Hosts, tmp_path: Path) -> None:
    (host,) = hosts(HostSpec("swap-whole", "trixie", card="p40"))
    path = host.state.swap_path
    try:
        run = deploy(host, **SETTINGS)
        assert run.status == 0, run.stderr
        seen = connect_testinfra(host, tmp_path)
        assert seen.file("/proc/swaps").contains(f"^{path} ")
        assert seen.file("/etc/fstab").contains(f"^{path} none swap sw 0 0$")
        assert seen.sysctl("vm.swappiness") == 10
        assert check(host, **SETTINGS).failing == set()
        again = deploy(host, **SETTINGS)
        assert (again.status, again.changed) == (0, {})
        _changes_by_hand_are_drift(host)
    finally:
        host.run(f"swapoff {path}", check=False)


def _changes_by_hand_are_drift(host: LabHost) -> None:
    usual = drift(host, **SETTINGS).wrong
    expected = dict(usual)
    for tamper in SWAP:
        host.run(tamper.by)
        expected |= dict.fromkeys(tamper.finds, "drift")
        assert drift(host, **SETTINGS).wrong == expected, tamper.what
    assert deploy(host, **SETTINGS).status == 0
    assert drift(host, **SETTINGS).wrong == usual


TAMPERS = {
    "swap.size": "swapoff {path}",
    "swap.boot": "sed -i '\\#{path}#d' /etc/fstab",
    "swap.mode": "chmod 644 {path}",
    "swap.swappiness": "sysctl -q -w vm.swappiness=60",
}


@pytest.mark.parametrize("id", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, id: str) -> None:
    provision(host)
    host.run(TAMPERS[id].format(path=host.state.swap_path))
    assert swap(host) == {**OK, id: "fail"}
    assert set(provision(host).changed) == {"Swap file"}
    assert swap(host) == OK


def test_a_changed_size_replaces_the_file(host: LabHost) -> None:
    provision(host)
    assert swap(host, swap_size_gb=OF_MACHINE + 0.125)["swap.size"] == "fail"
    assert provision(host, swap_size_gb=OF_MACHINE + 0.125).status == 0
    assert active(host)[1] == str(SIZE // 2 - 4096)
    assert host.run("grep -c swapfile /etc/fstab").stdout == "1\n"


def test_the_partial_file_of_an_interrupted_run_is_replaced(host: LabHost) -> None:
    path = host.state.swap_path
    host.run(f"echo half >{path}.gpuhost-new; rm -f {path}")
    assert provision(host).status == 0
    assert swap(host) == OK
    assert host.run(f"ls {path}.gpuhost-new", check=False).status != 0


def test_other_lines_of_fstab_stay_byte_for_byte(host: LabHost) -> None:
    # Two bytes of GBK, as from an editor in China: not UTF-8.
    host.run("printf '# mine \\265\\330\\nLABEL=data /data ext4 noauto 0 2\\n' >/etc/fstab")
    mine = "head -n 2 /etc/fstab | sha256sum"
    before = host.run(mine).stdout
    provision(host)
    assert host.run(mine).stdout == before
    assert host.run("tail -n 1 /etc/fstab").stdout == f"{host.state.swap_path} none swap sw 0 0\n"
    assert deploy(host, deploy="deploys/remove.py", remove="swap").status == 0
    assert host.run(mine).stdout == before
    assert host.run("wc -l </etc/fstab").stdout == "2\n"
    assert active(host) == []
    assert host.run("ls /etc/sysctl.d/zz-gpuhost-swap.conf", check=False).status != 0


def test_a_file_that_is_not_swap_is_not_changed(host: LabHost) -> None:
    path = host.state.swap_path
    host.run(f"echo precious >{path}")
    for settings in ({}, {"swap_size_gb": 0}):
        assert provision(host, **settings).changed == {}
        assert host.run(f"cat {path}").stdout == "precious\n"
    assert swap(host)["swap.size"] == "fail"
    assert swap(host, swap_size_gb=0)["swap.size"] == "ok"
    deploy(host, deploy="deploys/remove.py", remove="swap")
    assert host.run(f"cat {path}").stdout == "precious\n"


def test_a_file_system_without_swap_files_is_refused(host: LabHost) -> None:
    run = provision(host, swap_path="/swapfile")
    assert run.changed == {}
    assert "a swap file on overlay is not possible (/swapfile)" in run.stderr
    assert "Traceback" not in run.stderr
    assert active(host) == []
    assert swap(host, swap_path="/swapfile")["swap.size"] == "fail"


def test_a_size_larger_than_the_disk_is_refused(host: LabHost) -> None:
    run = provision(host, swap_size_gb=OF_MACHINE + 100000)
    assert run.changed == {}
    assert "100000.0 GB needed" in run.stderr
    assert active(host) == []
