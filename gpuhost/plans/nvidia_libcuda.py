"""A driver without libcuda.so.1, or without nvidia-smi: why, and which package has it."""

from __future__ import annotations

import re
from shlex import quote

from gpuhost.snapshot import Snapshot

# Packages of nvidia-smi by archive, and those of libcuda.so.1 beside them: Debian's package pages
# (libcuda1; nvidia-tesla-470-smi and libnvidia-tesla-470-cuda1), Ubuntu's (nvidia-utils-580-server
# and libnvidia-compute-580-server), NVIDIA's repository (nvidia-driver-cuda and libcuda1).
COMPANIONS = (
    (re.compile(r"nvidia-utils-(\d+(?:-server)?)"), "libnvidia-compute-{}"),
    (re.compile(r"nvidia-(tesla|tesla-\d+|legacy-\d+xx)-smi"), "libnvidia-{}-cuda1"),
    (re.compile(r"nvidia-smi()"), "libcuda1"),
    (re.compile(r"nvidia-driver-cuda()"), "libcuda1"),
)
# The other way round.
SMI_OF = (
    (re.compile(r"libnvidia-compute-(\d+(?:-server)?)"), "nvidia-utils-{}"),
    (re.compile(r"libnvidia-(tesla|tesla-\d+|legacy-\d+xx)-cuda1"), "nvidia-{}-smi"),
    (re.compile(r"libcuda1()"), "nvidia-smi"),
)
# vGPU's host driver has nvidia-smi and no CUDA; its cards belong to virtual machines.
VGPU_HOST = "nvidia_vgpu_vfio"
CAPABILITIES = (
    'give this container the driver capability "compute": '
    "`lxc config set NAME nvidia.driver.capabilities compute,utility`, or "
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility"
)


def without_libcuda(snapshot: Snapshot) -> tuple[str, str]:
    """The cause, and what to do."""
    if VGPU_HOST in snapshot.nvidia.loaded_modules:
        return (
            "it is vGPU's driver for hypervisors, which has no CUDA",
            'set gpu="none" here, and run containers in virtual machines with a vGPU',
        )
    fails = snapshot.nvidia.libcuda_fault == "ERR!"
    cause = "libcuda.so.1 does not start" if fails else "libcuda.so.1 is missing"
    if remedy := _install(snapshot):
        return cause, remedy
    if snapshot.system.container:
        return f"{cause}: it comes from the host of this container", CAPABILITIES
    return (
        cause,
        "run the installer of the same driver again (it does not come from packages); if the "
        "library is there, run ldconfig",
    )


def _install(snapshot: Snapshot) -> str:
    """The command for the package, at the version of nvidia-smi's; empty: not from packages."""
    for name, package in snapshot.nvidia.packages.items():
        for pattern, companion in COMPANIONS:
            if match := pattern.fullmatch(name):
                library = companion.format(match[1])
                again = "--reinstall " if library in snapshot.nvidia.packages else ""
                return f"apt-get install {again}{quote(f'{library}={package.version}')}"
    return ""


def without_smi(snapshot: Snapshot) -> str:
    """How to get nvidia-smi for a loaded driver: never another driver over it."""
    for name, package in snapshot.nvidia.packages.items():
        for pattern, smi in SMI_OF:
            if match := pattern.fullmatch(name):
                return f"apt-get install {quote(f'{smi.format(match[1])}={package.version}')}"
    return (
        "put nvidia-smi of the loaded driver into /usr/bin: it does not come from packages "
        "(Kubernetes' GPU operator keeps it in /run/nvidia/driver); or reboot, if the driver was "
        "removed"
    )
