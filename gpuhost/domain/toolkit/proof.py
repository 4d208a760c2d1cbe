"""The proof that containers get the GPUs: the result of the last test.

A reading never starts a container. The host keeps the result, and the versions at the test: if one
of them changes, the test must be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.toolkit.config import CONFIG
from gpuhost.domain.toolkit.cuda_answer import CudaAnswer, parse_answer

RECORD = "/var/lib/gpuhost/toolkit.json"
OWN_IMAGE = "gpuhost/gpu-test"
# Of toolkit_prove.sh: raise it when the image is made in another way.
RECIPE = 1
# Keys of daemon.json that decide how a container gets its GPUs; the others may change. The runtime
# nvidia is gpuhost's own: docker.config reports it.
ENGINE_KEYS = (
    *("runtimes", "default-runtime", "features", "cdi-spec-dirs", "exec-opts", "cgroup-parent"),
    *("userns-remap", "selinux-enabled", "no-new-privileges", "seccomp-profile"),
    "default-cgroupns-mode",
)
# Hashes, which the record has to be compared with; their names for a person.
HASHES = {"config": CONFIG, "settings": "the engine's configuration"}


@dataclass(frozen=True)
class Circumstances:
    """What a proof depends on.

    + driver: the loaded kernel module
    + toolkit: package version
    + engine: as `docker info` has it
    + image: which the test ran in
    + config, settings: hashes of the toolkit's configuration and of the engine's; "" in the record
      of an older gpuhost
    """

    driver: str
    toolkit: str
    engine: str
    image: str
    config: str = ""
    settings: str = ""

    def differences(self, other: Circumstances) -> list[str]:
        """What has changed: "driver 535.183.01, now 550.54.14".

        Our own image is named after the C library, which gets automatic security updates:
        that does not concern a GPU. A hash that was not recorded is no difference.
        """
        before, after = vars(self), vars(other)
        changed = [k for k in before if before[k] != after[k] and (k not in HASHES or before[k])]
        if all(image.startswith(f"{OWN_IMAGE}:") for image in (self.image, other.image)):
            changed = [k for k in changed if k != "image"]
        hashes = [HASHES[k] for k in changed if k in HASHES]
        return [f"{k} {before[k]}, now {after[k]}" for k in changed if k not in HASHES] + hashes

    @property
    def is_complete(self) -> bool:
        return all(getattr(self, k) for k in HASHES)


@dataclass(frozen=True)
class Proof:
    """One test.

    + gpus: how many cards nvidia-smi listed in the container
    + time: epoch seconds
    + failure: the message of docker or nvidia-smi; empty if the container got the GPUs
    + host, container: what CUDA answered there; None: an older gpuhost made the test, or the
      container did not start
    """

    circumstances: Circumstances
    gpus: int
    time: int
    failure: str
    host: CudaAnswer | None = None
    container: CudaAnswer | None = None


def parse(record: str) -> Proof | None:
    """The proof that the host keeps; None if it is not one."""
    try:
        values = host_json.parse(record)
        return Proof(
            Circumstances(
                *(str(values[k]) for k in ("driver", "toolkit", "engine", "image")),
                **{k: str(values.get(k, "")) for k in HASHES},
            ),
            gpus=int(values["gpus"]),
            time=int(values["time"]),
            failure=str(values["failure"]),
            host=_answer(values.get("cuda_host")),
            container=_answer(values.get("cuda_container")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _answer(output: object) -> CudaAnswer | None:
    return parse_answer(output) if isinstance(output, str) and output else None


def hash_of(*values: object) -> str:
    """Of values that JSON can have."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:16]


def engine_settings(daemon_json: Mapping[str, Any]) -> dict[str, Any]:
    """The part of daemon.json that a proof depends on."""
    kept = {key: daemon_json[key] for key in ENGINE_KEYS if key in daemon_json}
    if isinstance(runtimes := kept.pop("runtimes", None), dict):
        kept |= {f"runtimes.{name}": each for name, each in runtimes.items() if name != "nvidia"}
    return kept


def image_for(declared: str | None, libc: str) -> str:
    """The image that the test runs in: the declared one, or one made of the host's C library.

    + declared: `toolkit_test_image`
    + libc: package version; another one makes another image
    """
    return declared or f"{OWN_IMAGE}:{re.sub(r'[^A-Za-z0-9_.-]', '-', libc)[:100]}-r{RECIPE}"


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
# Messages of moby, nvidia-container-toolkit and libnvidia-container; the first match decides.
CAUSES: tuple[tuple[str, Cause], ...] = (
    (
        r'could not select device driver "[^"]*" with capabilities: \[\[gpu\]\]',
        Cause(
            "the engine started before the toolkit was installed, or does not find its hook "
            "(an engine from snap never does)",
            'systemctl restart docker, or docker_restart="always"; then run the deploy again',
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
        r"libnvidia-ml\.so\S*: cannot open shared object|couldn.t find libnvidia-ml",
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
        r"failed to stat CDI host device",
        Cause(
            "the CDI specification names a device node that is not there",
            "modprobe nvidia_uvm && nvidia-modprobe -u -c 0; systemctl restart nvidia-cdi-refresh, "
            "or nvidia-ctk cdi generate; then run the deploy again",
        ),
    ),
    (
        r"ldcache error: process \S*ldconfig",
        Cause(
            "the toolkit's hook could not run ldconfig for the container",
            'ldconfig in /etc/nvidia-container-runtime/config.toml: "@/sbin/ldconfig" on Debian, '
            '"@/sbin/ldconfig.real" on Ubuntu',
        ),
    ),
    (
        r"unresolvable CDI devices|CDI device injection failed",
        Cause(
            "no CDI specification of these cards exists",
            "systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate; after a change of "
            "MIG instances too",
        ),
    ),
    (
        r"Failed to initialize NVML: (Unknown Error|Insufficient Permissions)",
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
        r"unknown device|gpu not found|No devices were found",
        Cause("the driver drives no card", "nvidia-smi; dmesg | grep NVRM"),
    ),
    (
        r"bpf_prog_query|existing device filters",
        Cause("this toolkit is too old for the kernel's cgroup v2", "set toolkit_version=None"),
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
