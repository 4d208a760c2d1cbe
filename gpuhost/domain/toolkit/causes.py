"""Why a container did not get the GPUs: the messages of the engine, the toolkit and nvidia-smi."""

from __future__ import annotations

import re

from gpuhost.domain.toolkit.cause import GENERATE, REFRESH, RESTART, Cause
from gpuhost.domain.toolkit.causes_of_driver import DRIVER
from gpuhost.domain.toolkit.config import CONFIG

ENGINE: tuple[tuple[str, Cause], ...] = (
    (
        r'could not select device driver "[^"]*" with capabilities: \[\[gpu\]\]',
        Cause(
            "the engine started before the toolkit was installed, or does not find its hook "
            "(an engine from snap never does)",
            RESTART,
        ),
    ),
    (
        r'could not select device driver "cdi"',
        Cause(
            "the engine does not use CDI",
            f'set "features": {{"cdi": true}} in its daemon.json, or upgrade it; {RESTART}',
        ),
    ),
    (
        r"failed to load config.*toml",
        Cause(
            "the toolkit's config.toml cannot be read",
            f"correct the line that it names in {CONFIG}, or move the file away: the defaults hold "
            "then",
        ),
    ),
    (
        r"unknown or invalid runtime name",
        Cause("the engine does not know the runtime nvidia", f"{RESTART} (see docker.config)"),
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
            f"modprobe nvidia_uvm && nvidia-modprobe -u -m -c 0; {GENERATE}",
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
        r"ldcache error: process \S*ldconfig|open failed: \S*/ldconfig",
        Cause(
            "the toolkit's hook could not run ldconfig for the container",
            'ldconfig in /etc/nvidia-container-runtime/config.toml: "@/sbin/ldconfig" on Debian, '
            '"@/sbin/ldconfig.real" on Ubuntu',
        ),
    ),
    (
        r"no known GPU vendor found|failed to discover GPU vendor",
        Cause(
            "the engine found neither the toolkit's hook nor a CDI specification",
            f"{REFRESH}; {RESTART}",
        ),
    ),
    (
        r"unresolvable CDI devices|CDI device injection failed",
        Cause(
            "no CDI specification of these cards exists",
            f"{REFRESH}; after a change of MIG instances too. Of two files with the same devices "
            "in one directory, none counts: grep -l nvidia.com/gpu /etc/cdi/* /var/run/cdi/*",
        ),
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
        r"(?:bpf_prog_query|/devices\.allow).*: (?:operation not permitted|permission denied)"
        r"|(?:privilege|capability) change failed",
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
)
# Of moby, nvidia-container-toolkit and libnvidia-container; the first match decides.
CAUSES = (*DRIVER, *ENGINE)
UNKNOWN = Cause(
    "", "docker run --rm --gpus all --entrypoint nvidia-smi {image}; journalctl -u docker -n 50"
)


def cause_of(failure: str) -> Cause:
    """The cause and the fix of a failure; UNKNOWN if its text is not known."""
    for pattern, cause in CAUSES:
        if re.search(pattern, failure, re.IGNORECASE):
            return cause
    return UNKNOWN
