"""The failures that are known, the more telling ones first: of builds, pulls, starts and apps.

Here are those of the machine and of apps, and how all of them are ordered: the first that matches
decides. Texts are those of the tools (the kernel, PyTorch, nginx), as their sources and users'
reports have them.
"""

from __future__ import annotations

from gpuhost.runner.failures.build_failures import APT, BUILD
from gpuhost.runner.failures.engine_failures import REGISTRY, START
from gpuhost.runner.failures.signature import Signature

_DISK = (
    Signature(
        r"no space left on device|\bENOSPC\b|You don't have enough free space",
        "the disk is full: no blocks or no inodes left (or no inotify watches)",
        "`df -h` and `df -i` of /var/lib/docker and /var/lib/containerd; "
        "`docker builder prune` frees build caches and no image that a rollback needs",
    ),
    Signature(
        r"[Rr]ead-only file system",
        "a file system is read-only",
        "`dmesg` says why it was mounted so; a disk error is likely",
    ),
)
_MEMORY = (
    Signature(
        r"JavaScript heap out of memory",
        "Node.js reached its own heap limit",
        "raise it for this step: NODE_OPTIONS=--max-old-space-size=4096 as a build argument",
    ),
    Signature(
        r"CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory|"
        r"CUDA_ERROR_OUT_OF_MEMORY",
        "the card's memory is full (VRAM, not RAM)",
        "`nvidia-smi` names what else is on the card; a smaller batch, model or concurrency; "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    ),
    Signature(
        r"exit (?:code|status):? 137|exited \(137\)|exited with (?:code )?137|signal: killed|"
        r"Killed signal terminated program|^Killed$|\bcannot allocate memory\b|"
        r"Cannot allocate memory|std::bad_alloc|^MemoryError",
        "a process was killed (137) or got no memory: out of memory, most likely",
        "`dmesg | grep -i 'out of memory'` says whether the kernel did it; more swap "
        "(swap_size_gb), fewer jobs in the step (MAX_JOBS=1, make -j1), or a larger memory limit",
    ),
)
_APP = (
    Signature(
        r"CUDA driver version is insufficient for CUDA runtime version|"
        r"NVIDIA driver on your system is too old",
        "the driver is too old for the CUDA in the image",
        "a newer driver (nvidia_branch), or an image of an older CUDA",
    ),
    Signature(
        r"system has unsupported display driver / cuda driver combination|"
        r"forward compatibility was attempted on non supported HW",
        "the image brings a libcuda that does not go with this driver or card",
        "an image of an older CUDA, or without its cuda-compat package",
    ),
    Signature(
        r"no kernel image is available for execution on the device",
        "the app was not compiled for this card's compute capability",
        "for Maxwell, Pascal and Volta, PyTorch's cu126 wheels are the last that have it",
    ),
    Signature(
        r"daemonic processes are not allowed to have children",
        "a Celery worker of the prefork pool starts processes of its own, which it may not",
        "WORKER_POOL=threads (or solo)",
    ),
    Signature(
        r"client intended to send too large body: (?P<size>\d+) bytes",
        "nginx refused a request of {size} bytes (413)",
        "nginx.max_body in the app file",
    ),
    Signature(
        r"host not found in upstream \"(?P<host>[^\"]+)\"",
        "nginx does not find its upstream {host}",
        "nginx.upstream in the app file; is that service started, in the same network?",
    ),
)
_STATUS = (
    Signature(
        r"exit (?:code|status):? 139|exited \(139\)|[Ss]egmentation fault",
        "a program crashed (139, SIGSEGV)",
        "libraries that do not go together, or those of another driver",
    ),
    Signature(
        r"exit (?:code|status):? 134|exited \(134\)",
        "a program gave up (134, SIGABRT)",
        "its last lines say why",
    ),
    Signature(
        r"exit (?:code|status):? 127|exited \(127\)",
        "a command was not found (127)",
        "is it installed in this stage, and spelt right?",
    ),
    Signature(
        r"exit (?:code|status):? 126|exited \(126\)",
        "a file could not be executed (126)",
        "chmod +x before COPY, and the right processor architecture",
    ),
    Signature(
        r"container (?P<name>\S+) exited \((?P<code>\d+)\)",
        "{name} exited with {code}",
        "its own log says why",
    ),
)


# pip, npm and Hugging Face fail for the network's sake before they fail for anything of ours; an
# exit status alone says least.
KNOWN: tuple[Signature, ...] = (
    *_DISK,
    *START,
    *_MEMORY,
    *APT,
    *REGISTRY,
    *BUILD,
    *_APP,
    *_STATUS,
)
