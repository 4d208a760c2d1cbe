"""NVIDIA's driver repository in the lab: a driver drives the card from the next boot on."""

from __future__ import annotations

import pytest

from tests.lab import images
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab
from tests.lab.packages.nvidia import KEY_FILES

# These test the lab itself: its simulated repositories hardly change.
pytestmark = [pytest.mark.lab, pytest.mark.matrix]

NEWEST = "590.48.01"
PINNED = "580.105.08"


def install(host: LabHost, lab: Lab, *packages: str) -> None:
    number = images.NUMBER_OF[host.state.release]
    uri = f"{lab.repository.base}/cuda/repos/debian{number}/x86_64"
    key = "/etc/apt/keyrings/nvidia-driver.asc"
    line = f"deb [signed-by={key}] {uri}/ /"
    host.run(f"curl -fsS {uri}/{KEY_FILES[number]} -o {key}")
    host.put("/etc/apt/sources.list.d/nvidia-driver.list", f"{line}\n".encode())
    host.run("apt-get -q update")
    for package in packages:
        host.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q install -y {package}")


@pytest.mark.parametrize("release", images.RELEASES)
def test_a_driver_loads_at_the_next_boot(lab: Lab, release: str) -> None:
    (host,) = lab.boot(HostSpec("driver", release, card="undriven"))
    install(host, lab, "nvidia-driver-pinning-580", "nvidia-driver-cuda nvidia-kernel-dkms")
    assert host.run("nvidia-smi", check=False).status == 9
    assert host.run("systemctl is-active nvidia-persistenced", check=False).stdout != "active\n"
    host.reboot()
    query = "nvidia-smi --query-gpu=name,driver_version,persistence_mode --format=csv,noheader"
    assert host.run(query).stdout == f"Tesla P40, {PINNED}, Enabled\n"
    assert f"Driver Version: {PINNED}" in host.run("nvidia-smi").stdout
    assert "CUDA Version: 13.0" in host.run("nvidia-smi").stdout
    assert PINNED in host.run("cat /proc/driver/nvidia/version").stdout
    driver = "readlink /sys/bus/pci/devices/0000:84:00.0/driver"
    assert host.run(driver).stdout.endswith("/nvidia\n")
    lab.remove(host.name)


def test_the_wrong_modules_find_no_device(lab: Lab) -> None:
    (host,) = lab.boot(HostSpec("modules", "trixie", card="nouveau"))
    install(host, lab, "nvidia-open")
    host.reboot()
    smi = host.run("nvidia-smi", check=False)
    assert (smi.status, smi.stdout) == (6, "No devices were found\n")
    host.run("apt-get -q install -y nvidia-kernel-dkms")
    host.reboot()
    assert NEWEST in host.run("nvidia-smi").stdout
    lab.remove(host.name)


def test_fabric_manager_needs_the_drivers_own_version(lab: Lab) -> None:
    (host,) = lab.boot(HostSpec("fabric", "bookworm", card="undriven-h200"))
    install(host, lab, "nvidia-open nvidia-fabricmanager=580.95.05-1")
    host.reboot()
    assert host.run("nvidia-smi -L").stdout.count("NVIDIA H200") == 8
    start = "systemctl start nvidia-fabricmanager"
    assert host.run(start, check=False).status == 1
    journal = host.run("journalctl --sync && journalctl -u nvidia-fabricmanager").stdout
    assert "don't match with driver version 590.48.01" in journal
    host.run("apt-get -q install -y nvidia-fabricmanager")
    host.run(start)
    assert host.run("systemctl is-active nvidia-fabricmanager").stdout == "active\n"
    lab.remove(host.name)
