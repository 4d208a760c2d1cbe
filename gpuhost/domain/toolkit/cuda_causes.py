"""Why CUDA does not start where nvidia-smi works, and what to do. None of it is a reboot.

A cause is named only where its conditions hold: the same result has several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpuhost.domain.toolkit.cause import GENERATE, Cause
from gpuhost.domain.toolkit.causes import cause_of
from gpuhost.domain.toolkit.cuda_answer import (
    COMPAT,
    CONTROL,
    MISMATCH,
    NO_DEVICE,
    NOT_READY,
    STUB,
    UVM,
    CudaAnswer,
)

MISSING = re.compile(r"(\S+): cannot open shared object file", re.ASCII)
# Of NVIDIA_VISIBLE_DEVICES, where the engine gives cards by CDI.
BY_CDI = "void"
REFUSED = ("EPERM", "EACCES")
# The kernel gives the module another number at each load.
STALE = ("ENXIO", "ENODEV")
LOOK = "dmesg | grep -e NVRM -e Xid"
# More than 128: ended by a signal. A file that is cut off gives SIGBUS.
KILLED = re.compile(r"exit status (129|13\d|14\d)\b", re.ASCII)
SIGBUS = "135"
DAMAGED = "reinstall the package that dpkg -S libcuda.so names; then run the deploy again"
# Of toolkit_prove.sh.
NO_PYTHON = "python3 with ctypes cannot be used"
PYTHON = "apt-get install python3; then run the deploy again"
UNCALLED = "journalctl -u docker -n 50; then run the deploy again"
CAPABILITIES = (
    "NVIDIA_DRIVER_CAPABILITIES of the image must have compute; "
    "nvidia-container-cli list | grep libcuda"
)


@dataclass(frozen=True)
class CudaConditions:
    """What is known of the host whose nvidia-smi works.

    + in_container: it was asked in a container; it starts on the host
    + driver: version of the loaded module
    + modprobe_line: a line of modprobe.d that keeps nvidia or nvidia-uvm from being loaded
    + fabric_manager: the cards need Fabric Manager, and it does not run
    + mig_is_empty: MIG is on, and there is no instance
    + no_cgroups: no-cgroups is true in the toolkit's config.toml
    """

    in_container: bool = False
    driver: str = ""
    modprobe_line: str = ""
    fabric_manager: bool = False
    mig_is_empty: bool = False
    no_cgroups: bool = False


NO_CGROUPS = Cause(
    "no-cgroups = true in the toolkit's config.toml: containers may not use the device nodes",
    "set no-cgroups = false in /etc/nvidia-container-runtime/config.toml, and recreate the "
    "containers; only a rootless engine and an unprivileged container (LXC) need true",
)


def cuda_cause(answer: CudaAnswer, known: CudaConditions) -> Cause:
    """The cause of an answer that has no device."""
    if answer.failure:
        return _not_called(answer.failure)
    if answer.load:
        return _not_loaded(answer, known)
    if answer.result in (0, NO_DEVICE):
        return _no_device(answer, known)
    if answer.result == STUB:
        return Cause(
            f"{answer.library or 'libcuda.so.1'} is the stub that CUDA programs are built with",
            "remove its directory from LD_LIBRARY_PATH and from /etc/ld.so.conf.d; ldconfig",
        )
    if answer.result == NOT_READY:
        return _not_ready(known)
    if answer.result in (MISMATCH, COMPAT):
        return _other_library(answer, known)
    return _closed(answer, known) or Cause(
        "CUDA does not start", f"{LOOK}; modprobe -r nvidia_uvm && modprobe nvidia_uvm"
    )


def _not_called(failure: str) -> Cause:
    if "did not start within" in failure:
        return Cause("CUDA hangs", f"nvidia-smi; {LOOK}")
    if killed := KILLED.search(failure):
        damaged = ": its file is damaged" if killed[1] == SIGBUS else ""
        return Cause(f"libcuda.so.1 crashed{damaged}", f"{DAMAGED}; {LOOK}")
    if NO_PYTHON in failure:
        return Cause("CUDA could not be called: python3 is missing, or has no ctypes", PYTHON)
    known = cause_of(failure)
    return known if known.cause else Cause("CUDA could not be called", UNCALLED)


def _not_loaded(answer: CudaAnswer, known: CudaConditions) -> Cause:
    missing = MISSING.search(answer.load)
    if missing is None:
        return Cause(
            "libcuda.so.1 cannot be loaded: its file is damaged, or is not the driver's",
            DAMAGED,
        )
    if not missing[1].startswith("libcuda.so"):
        return Cause(f"libcuda.so.1 needs {missing[1]}, which is missing", _packages(known))
    if known.in_container:
        return Cause("the toolkit did not put libcuda.so.1 into the container", CAPABILITIES)
    return Cause(
        "libcuda.so.1 is not installed: nvidia-smi does not need it, CUDA does", _packages(known)
    )


def _packages(known: CudaConditions) -> str:
    branch = known.driver.partition(".")[0] or "BRANCH"
    return (
        f"install it in the driver's version, {known.driver}: libcuda1 on Debian and from "
        f"NVIDIA's repository, libnvidia-compute-{branch} on Ubuntu; then run the deploy again"
    )


def _no_device(answer: CudaAnswer, known: CudaConditions) -> Cause:
    if known.mig_is_empty:
        return Cause(
            "MIG is on without instances: CUDA sees no device",
            "nvidia-smi mig -cgi PROFILE -C, or turn MIG off: nvidia-smi -mig 0",
        )
    if answer.visible is not None:
        return Cause(
            f"CUDA_VISIBLE_DEVICES is {answer.visible!r}: it hides the cards from CUDA",
            "remove it from the image, or set it to a card that there is",
        )
    refused = [path for path, why in answer.nodes.items() if why in REFUSED]
    if refused and known.in_container:
        return NO_CGROUPS if known.no_cgroups else _no_access(refused)
    # Without nvidia_uvm CUDA fails in another way.
    nodes = {path: why for path, why in answer.nodes.items() if path != UVM}
    return _nodes(nodes) or Cause("CUDA sees no device", f"ls -l /dev/nvidia*; {LOOK}")


def _not_ready(known: CudaConditions) -> Cause:
    if known.fabric_manager:
        return Cause(
            "the cards need Fabric Manager, which does not run: see nvidia.fabric_manager",
            "systemctl enable --now nvidia-fabricmanager; journalctl -u nvidia-fabricmanager",
        )
    return Cause(
        "the cards are not ready for CUDA",
        "nvidia-smi -q | grep -A4 Fabric; nvidia-smi conf-compute -grs; "
        "without either, options nvidia_uvm uvm_disable_hmm=1 in /etc/modprobe.d",
    )


def _other_library(answer: CudaAnswer, known: CudaConditions) -> Cause:
    """nvidia-smi works, so the driver's own libraries fit its module: CUDA's is another one."""
    library = answer.library or "libcuda.so.1"
    what = "cuda-compat's library, which these cards do not run with"
    if answer.result == MISMATCH:
        what = f"not of the loaded driver {known.driver}".strip()
    where = (
        "the image must not have it before the toolkit's: /usr/local/cuda/compat in its "
        "LD_LIBRARY_PATH or ld.so.conf.d; or use an image of an older CUDA"
        if known.in_container
        else "ldconfig -p | grep libcuda shows it: remove it, and its line in /etc/ld.so.conf.d"
    )
    return Cause(f"CUDA uses {library}: {what}", where)


def _closed(answer: CudaAnswer, known: CudaConditions) -> Cause | None:
    """The device nodes that CUDA could not open; None: that is not it."""
    refused = [path for path, why in answer.nodes.items() if why in REFUSED]
    if refused and known.in_container:
        return NO_CGROUPS if known.no_cgroups else _no_access(refused)
    if answer.nodes.get(UVM) in (None, *REFUSED) and answer.uvm is not False:
        return _nodes(answer.nodes)
    if known.in_container and answer.nodes.get(UVM) in STALE:
        return Cause(f"the container's {UVM} is of an earlier load of nvidia_uvm", GENERATE)
    if known.in_container:
        by_cdi = answer.given == BY_CDI
        missing = f"the CDI specification has no {UVM}: it is older than the loaded nvidia_uvm"
        return (
            Cause(missing, GENERATE)
            if by_cdi
            else Cause(f"the toolkit did not put {UVM} into the container", CAPABILITIES)
        )
    if known.modprobe_line:
        return Cause(
            f"modprobe's configuration keeps nvidia_uvm away: {known.modprobe_line}",
            "grep -rn nvidia /etc/modprobe.d /lib/modprobe.d finds that line: remove it; then "
            "modprobe nvidia_uvm, and run the deploy again",
        )
    state = f"there is no usable {UVM}" if answer.uvm else "nvidia_uvm is not loaded"
    return Cause(
        f"{state}: nvidia-smi does not need it, CUDA does",
        "modprobe nvidia_uvm && nvidia-modprobe -u -c 0 (package nvidia-modprobe); "
        "then run the deploy again",
    )


def _no_access(refused: list[str]) -> Cause:
    return Cause(
        f"the container may not open {', '.join(refused)}",
        "docker info | grep -i cgroup; run the deploy again",
    )


def _nodes(nodes: Mapping[str, str]) -> Cause | None:
    if not nodes:
        return None
    paths = ", ".join(sorted(nodes))
    missing = nodes.get(CONTROL) == "ENOENT"
    fix = "nvidia-modprobe -c 0" if missing else "ls -l /dev/nvidia*: root must be able to use them"
    return Cause(f"{paths} cannot be opened", fix)
