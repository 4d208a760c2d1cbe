"""Why a container did not get the GPUs: the messages of the engine, the toolkit and nvidia-smi."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.domain.toolkit.config import CONFIG


@dataclass(frozen=True)
class Cause:
    """Why a container did not get the GPUs, and what to do; {image} is replaced by the image."""

    cause: str
    fix: str


# A new container: what a daemon-reload takes from old ones, it has not lost yet.
NO_ACCESS = Cause(
    "the container may not open the device nodes /dev/nvidia*",
    "docker info | grep -i -e cgroup -e rootless; "
    "cat /etc/nvidia-container-runtime/config.toml; then run the deploy again",
)
GENERATE = (
    "systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate "
    "--output=/etc/cdi/nvidia.yaml if that file exists; then run the deploy again"
)
RESTART = 'systemctl restart docker, or docker_restart="always"; then run the deploy again'
# Messages of moby, nvidia-container-toolkit and libnvidia-container; the first match decides.
CAUSES: tuple[tuple[str, Cause], ...] = (
    (
        r'could not select device driver "[^"]*" with capabilities: \[\[gpu\]\]',
        Cause(
            "the engine started before the toolkit was installed, or does not find its hook "
            "(an engine from snap never does)",
            RESTART,
        ),
    ),
    (
        r"unknown or invalid runtime name",
        Cause("the engine does not know the runtime nvidia", f"{RESTART} (see docker.config)"),
    ),
    (
        r"WSL environment detected|GPU access blocked by the operating system"
        r"|stat failed: /usr/lib/wsl/",
        Cause(
            "this host is WSL, and Windows gives it no GPU",
            "update the driver in Windows, then: wsl --update; wsl --shutdown",
        ),
    ),
    (
        r"driver/library version mismatch",
        Cause("the driver was upgraded under its loaded kernel module", "reboot"),
    ),
    (
        r"nvml error: driver not loaded|couldn.t communicate with the NVIDIA driver",
        Cause("the driver's kernel module is not loaded", "modprobe nvidia, or reboot"),
    ),
    (
        r"libnvidia-ml\.so\S*: cannot open shared object file: Permission denied",
        Cause(
            "the engine may not read the driver's libraries",
            "ls -lL /usr/lib/*/libnvidia-ml.so.1; dmesg | grep -i -e apparmor -e avc",
        ),
    ),
    (
        r"libnvidia-ml\.so\S*: cannot open shared object|couldn.t find libnvidia-ml"
        r"|ERROR_LIBRARY_NOT_FOUND",
        Cause("the driver's libraries are not installed", "install the driver: nvidia_driver"),
    ),
    (
        r"unsatisfied condition: [^,\n]+",
        Cause(
            "the image needs a newer CUDA than the driver has",
            "upgrade the driver, or set toolkit_test_image to an older image or to None",
        ),
    ),
    (
        r"failed to stat CDI host device \"?/dev/dri/",
        Cause(
            "the CDI specification names the cards' nodes in /dev/dri as they were at another boot",
            GENERATE,
        ),
    ),
    (
        r"failed to stat CDI host device",
        Cause(
            "the CDI specification names a device node that is not there",
            "modprobe nvidia_uvm && nvidia-modprobe -u -c 0; systemctl restart nvidia-cdi-refresh, "
            "or nvidia-ctk cdi generate; then run the deploy again",
        ),
    ),
    (
        r"detection error: open failed: \S+\.so",
        Cause(
            "the driver's libraries are not complete, or ldconfig's cache names those of another "
            "version",
            "ldconfig; reinstall the driver's libraries (dpkg -S libnvidia-ml.so.1 names a "
            "package), or run its installer again",
        ),
    ),
    (
        r"\.so\.\d{3}\.[\d.]+: no such file",
        Cause(
            "the CDI specification is of another version of the driver",
            GENERATE,
        ),
    ),
    (
        r"mount operation failed: \S*/proc/driver/nvidia",
        Cause("the driver has been loaded again since the engine started", RESTART),
    ),
    (
        r"ldcache error: process \S*ldconfig|open failed: \S*/ldconfig",
        Cause(
            "the toolkit's hook could not run ldconfig for the container",
            'ldconfig in /etc/nvidia-container-runtime/config.toml: "@/sbin/ldconfig" on Debian, '
            '"@/sbin/ldconfig.real" on Ubuntu',
        ),
    ),
    (
        r"driver (?:rpc )?error: (?:timed out|failed to process request)",
        Cause(
            "the driver answers too slowly: without persistence mode each call starts every card",
            "nvidia_persistence=True; nvidia-smi; dmesg | grep -e NVRM -e Xid; "
            "then run the deploy again",
        ),
    ),
    (
        r"nvcgo (?:rpc )?error: timed out",
        Cause(
            "the host was too busy for the toolkit, which waits for ten seconds",
            "run the deploy again when the host has less to do",
        ),
    ),
    (
        r"no known GPU vendor found|failed to discover GPU vendor",
        Cause(
            "the engine found neither the toolkit's hook nor a CDI specification",
            "systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate "
            f"--output=/etc/cdi/nvidia.yaml; {RESTART}",
        ),
    ),
    (
        r"unresolvable CDI devices|CDI device injection failed",
        Cause(
            "no CDI specification of these cards exists",
            "systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate; after a change of "
            "MIG instances too. Of two files with the same devices in one directory, none counts: "
            "grep -l nvidia.com/gpu /etc/cdi/* /var/run/cdi/*",
        ),
    ),
    (
        r"Failed to initialize NVML: (Unknown Error|Insufficient Permissions)"
        r"|nvml error: (?:insufficient|no) permission"
        r"|Unable to determine the device handle for .*: *Unknown Error",
        NO_ACCESS,
    ),
    (
        r"invoking the NVIDIA Container Runtime Hook directly",
        Cause(
            "mode in the toolkit's config.toml does not allow what the engine calls for --gpus",
            'set mode = "auto" in /etc/nvidia-container-runtime/config.toml',
        ),
    ),
    (
        r"insufficient privileges to read device list",
        Cause(
            "accept-nvidia-visible-devices-envvar-when-unprivileged = false in the toolkit's "
            "config.toml, which the engine needs for --gpus",
            "set it to true in /etc/nvidia-container-runtime/config.toml",
        ),
    ),
    (
        r"device error: (?:MIG|GPU)-\S+: unknown device",
        Cause(
            "there is no such card or MIG instance: instances get new UUIDs when made anew",
            "nvidia-smi -L shows those that there are",
        ),
    ),
    (
        r"unknown device|gpu not found|No devices were found",
        Cause("the driver drives no card", "nvidia-smi; dmesg | grep NVRM"),
    ),
    (
        r"(?:bpf_prog_query|/devices\.allow).*: (?:operation not permitted|permission denied)"
        r"|privilege change failed",
        Cause(
            "the toolkit may not set the rules of a cgroup: the engine is rootless, or this host "
            "is an unprivileged container (LXC)",
            f"set no-cgroups = true in {CONFIG}, which only these two need; then run the deploy "
            "again",
        ),
    ),
    (
        r"bpf_prog_query|existing device filters|cgroup subsystem devices not found",
        Cause("this toolkit is too old for the kernel's cgroup v2", "set toolkit_version=None"),
    ),
    (
        r"change root failed",
        Cause(
            "root in the toolkit's config.toml names a directory that does not exist",
            f"remove root from the section nvidia-container-cli of {CONFIG}",
        ),
    ),
    (
        r"initialization error: cuda error",
        Cause("CUDA does not start on the host", "dmesg | grep -e NVRM -e Xid; reboot"),
    ),
    (
        r"nvml error: (?:unknown error|gpu is lost|gpu requires (?:reset|restart))",
        Cause("the driver cannot read a card", "nvidia-smi; dmesg | grep -e NVRM -e Xid"),
    ),
    (
        r"stat failed: /dev/nvidia-modeset",
        Cause(
            "the image wants the driver capability display, and there is no /dev/nvidia-modeset",
            "nvidia-modprobe -m (package nvidia-modprobe), or "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ),
    ),
    (
        r"file creation failed: \S+: no such device or address",
        Cause(
            "a device node or a socket of the driver is left over from an earlier load or card",
            "systemctl restart nvidia-persistenced; nvidia-smi; if a card is missing, reboot",
        ),
    ),
    (
        r"version .GLIBC_\w[\w.]*. not found",
        Cause(
            "the C library of the image or of this host is too old for a program of the driver or "
            "the toolkit",
            "an image of a newer distribution, toolkit_test_image=None; or of the host: apt-get "
            "full-upgrade",
        ),
    ),
    (
        r"file creation failed: \S+: file exists",
        Cause(
            "the image holds files of a driver: it was made from a container that had a GPU",
            "build the image again without them, or set toolkit_test_image=None",
        ),
    ),
    (
        r'exec: \\?"?\S*nvidia-container-runtime(?:-hook)?\\?"?: '
        r"|libnvidia-container\S*: cannot open shared object",
        Cause(
            "a program of the toolkit is missing",
            "apt-get install --reinstall nvidia-container-toolkit-base nvidia-container-toolkit "
            "libnvidia-container1 libnvidia-container-tools; "
            f"{RESTART}",
        ),
    ),
    (
        r'exec: \\?"nvidia-smi\\?": executable file not found',
        Cause(
            "the toolkit did not put nvidia-smi into the container",
            "nvidia-container-cli list; is the driver's nvidia-smi installed?",
        ),
    ),
    (
        r"pull access denied|Unable to find image|No such image|failed to resolve reference"
        r"|manifest unknown|could not be pulled",
        Cause(
            "the image cannot be pulled on this host",
            "set toolkit_test_image to another image, or to None for one made on the host",
        ),
    ),
    (r"no space left on device", Cause("the disk is full", "docker system df")),
    (
        r"did not end within",
        Cause("nvidia-smi hangs in the container", "nvidia-smi; dmesg | grep -e NVRM -e Xid"),
    ),
)
UNKNOWN = Cause(
    "", "docker run --rm --gpus all --entrypoint nvidia-smi {image}; journalctl -u docker -n 50"
)


def cause_of(failure: str) -> Cause:
    """The cause and the fix of a failure; UNKNOWN if its text is not known."""
    for pattern, cause in CAUSES:
        if re.search(pattern, failure, re.IGNORECASE):
            return cause
    return UNKNOWN
