"""Findings as checks make them, for pages that show them."""

from __future__ import annotations

from gpuhost.checks.finding import Finding, Status

# A fixed set of checks, so that a new check does not change the page.
CHECKS = {
    "apt": "fresh mirror",
    "disk": "free full inodes writable",
    "docker": "buildx compose config engine live memory packages repository swap_accounting",
    "firewall": "allow closed confirmed enabled foreign loaded published ssh",
    "memory": "available total",
    "nginx": "package renewal running",
    "nvidia": "branch card count cuda driver fabric_manager hold next_boot nouveau persistence",
    "proxy": "apt client engine",
    "swap": "boot mode size swappiness",
    "system": "apt_idle clock dpkg hostname init privileges python reboot supported updates",
    "toolkit": "cdi held packages proof repository runtime",
}
IDS = [f"{noun}.{aspect}" for noun, aspects in CHECKS.items() for aspect in aspects.split()]

DRIVER = Finding(
    Status.FAIL,
    "a driver that answers",
    "library mismatch: module 535.183.01 is loaded. The driver's libraries were upgraded while "
    "the old kernel module stayed loaded.",
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.216",
    "Reboot, or stop everything that uses the card and reload the modules; then hold the NVIDIA "
    "packages, so that automatic upgrades cannot do it again.",
    id="nvidia.driver",
)
SWAP = Finding(
    Status.FAIL,
    "16.0 GB",
    "8.0 GB",
    "/swapfile 8388604 kB",
    "pyinfra inventory.py deploys/gpu_host.py --limit gpu",
    id="swap.size",
)
FULL = Finding(
    Status.WARN,
    "less than 85 % used",
    "/var/lib/docker is 91 % full",
    "/dev/nvme1n1p1  937G  853G  84G  91% /var/lib/docker",
    "du -x -h -d 2 /var/lib/docker | sort -h | tail",
    id="disk.full",
)
REBOOT = Finding(
    Status.WARN, "no reboot pending", "linux-image-6.1.0-28 waits", "", "reboot", id="system.reboot"
)
RAM = Finding(
    Status.FAIL, "at least 64 GB", "31.2 GB", "", "use a larger machine", id="memory.total"
)
LOADED = Finding(Status.UNKNOWN, actual="ufw timed out", id="firewall.loaded")
CHAIN = Finding(
    Status.FAIL,
    "no port of a container that firewall_allow does not name",
    "0.0.0.0:6379/tcp of redis",
    "redis 0.0.0.0:6379->6379/tcp",
    "put them into firewall_allow, or publish them on 127.0.0.1",
    id="firewall.closed",
)
