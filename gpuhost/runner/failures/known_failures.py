"""Known failures of the machine and of apps, and the order of all known failures.

The first match decides, so the more specific ones come first. The patterns are texts from the
sources of the tools (the kernel, PyTorch, nginx) and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.apt_failures import KNOWN as APT
from gpuhost.runner.failures.build_failures import KNOWN as DOCKERFILE
from gpuhost.runner.failures.database_failures import KNOWN as DATABASE
from gpuhost.runner.failures.download_failures import KNOWN as DOWNLOADS
from gpuhost.runner.failures.engine_failures import ENGINE, REGISTRY, START
from gpuhost.runner.failures.limit_failures import KNOWN as LIMITS
from gpuhost.runner.failures.signature import Signature
from gpuhost.runner.failures.tool_failures import KNOWN as TOOLS

_DISK = (
    Signature(
        r"no space left on device|\bENOSPC\b|You don't have enough free space",
        "the disk is full: no blocks or no inodes left (or no inotify watches)",
        "run `df -h` and `df -i` on /var/lib/docker and /var/lib/containerd; free space with "
        "`docker builder prune`, which deletes no image that a rollback needs",
    ),
    Signature(
        r"[Rr]ead-only file system",
        "a file system is read-only",
        "run `dmesg`: it shows why; a disk error is likely",
    ),
)
_MEMORY = (
    Signature(
        r"JavaScript heap out of memory",
        "Node.js reached its own heap limit",
        "set NODE_OPTIONS=--max-old-space-size=4096 as a build argument of this step",
    ),
    Signature(
        r"CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory|"
        r"CUDA_ERROR_OUT_OF_MEMORY",
        "the GPU's memory is full (VRAM, not RAM)",
        "run `nvidia-smi` to see what else uses the GPU; use a smaller batch, a smaller model or "
        "less concurrency; set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    ),
    Signature(
        r"exit (?:code|status):? 137|exited \(137\)|exited with (?:code )?137|signal: killed|"
        r"Killed signal terminated program|^Killed$|\bcannot allocate memory\b|"
        r"Cannot allocate memory|std::bad_alloc|^MemoryError",
        "a process was killed (137) or could not allocate memory: probably out of memory",
        "enlarge the swap file (swap_size_gb), run fewer jobs in the step (MAX_JOBS=1, make -j1), "
        "or raise the memory limit; `dmesg | grep -i 'out of memory'` shows whether the kernel "
        "killed it",
    ),
)
_APP = (
    Signature(
        r"CUDA driver version is insufficient for CUDA runtime version|"
        r"NVIDIA driver on your system is too old",
        "the driver is too old for the CUDA in the image",
        "install a newer driver (nvidia_branch), or use an image of an older CUDA",
    ),
    Signature(
        r"system has unsupported display driver / cuda driver combination|"
        r"forward compatibility was attempted on non supported HW",
        "the image's libcuda does not work with this driver or GPU",
        "use an image of an older CUDA, or one without the package cuda-compat",
    ),
    Signature(
        r"no kernel image is available for execution on the device",
        "the app was not compiled for this GPU's compute capability",
        "for Maxwell, Pascal and Volta install PyTorch's cu126 wheels, the last ones that support "
        "them",
    ),
    Signature(
        r"daemonic processes are not allowed to have children",
        "a Celery worker of the prefork pool starts processes of its own, which is not allowed",
        "set WORKER_POOL=threads (or solo)",
    ),
    Signature(
        r"Field required \[type=missing|"
        r"\d+ validation errors? for (?P<model>\w*(?:Settings|Config)\w*)",
        "a required setting of the app is not set {model}",
        "the output names it: set it in environment of the service, or declare it as a secret",
    ),
    Signature(
        r"(?:EACCES: permission denied, \w+|PermissionError: \[Errno 13\] Permission denied:) "
        r"'(?P<path>[^']+)'",
        "the user of the container may not write {path}",
        "declare the directory in x-gpuhost.directories with the owner (UID:GID) of that user; "
        "in a build use COPY --chown",
    ),
    Signature(
        r"ModuleNotFoundError: No module named (?P<module>'[^']+')|"
        r"Error: Cannot find module (?P<other>'[^']+')",
        "the image has no module {module}{other}",
        "add it to the requirements or package.json; if it is a file of the app, commit it and "
        "COPY it to this stage",
    ),
    Signature(
        r"client intended to send too large body: (?P<size>\d+) bytes",
        "nginx refused a request of {size} bytes (413)",
        "raise nginx.max_body in the app file",
    ),
    Signature(
        r"host not found in upstream \"(?P<host>[^\"]+)\"",
        "nginx cannot resolve its upstream {host}",
        "correct nginx.upstream in the app file; the service must be started, and in the same "
        "network",
    ),
)
_STATUS = (
    Signature(
        r"sh: (?:line )?\d+: (?P<path>\.?/\S+): not found",
        "there is no {path}, or not what its first line names (127)",
        "if the file is there, it has Windows line endings (`sed -i 's/\\r$//' FILE`), or the "
        "image lacks the program after #!",
        weak=True,
    ),
    Signature(
        r"sh: (?:line )?\d+: (?P<command>[\w.+-]+): (?:command )?not found|"
        r"exec: \"(?P<other>[^\"]+)\": executable file not found",
        "the image has no command {command}{other} (127)",
        "install it in this stage, or correct its name",
        weak=True,
    ),
    Signature(
        r"exit (?:code|status):? 139|exited \(139\)|[Ss]egmentation fault",
        "a program crashed (139, SIGSEGV)",
        "use library versions that match each other and the driver",
        weak=True,
    ),
    Signature(
        r"exit (?:code|status):? 134|exited \(134\)",
        "a program aborted (134, SIGABRT)",
        "read its last lines: they show the reason",
        weak=True,
    ),
    Signature(
        r"exit (?:code|status):? 127|exited \(127\)",
        "a command was not found (127)",
        "install it in this stage, or correct its name",
        weak=True,
    ),
    Signature(
        r"exit (?:code|status):? 126|exited \(126\)",
        "a file could not be executed (126)",
        "run chmod +x before COPY; use a program of the right processor architecture",
        weak=True,
    ),
    Signature(
        r"container (?P<name>\S+) exited \((?P<code>\d+)\)",
        "{name} exited with {code}",
        "run `docker logs {name}`: its log has the reason",
        weak=True,
    ),
)


# An exit status alone is the least specific. The registries have the network's words that downloads
# have too.
KNOWN: tuple[Signature, ...] = (
    *_DISK,
    *ENGINE,
    *START,
    *LIMITS,
    *_MEMORY,
    *APT,
    *DOWNLOADS,
    *REGISTRY,
    *DOCKERFILE,
    *TOOLS,
    *DATABASE,
    *_APP,
    *_STATUS,
)
# All of a build's output is read, in which the words of a start would be a chance.
OF_BUILDS: tuple[Signature, ...] = tuple(
    one for one in KNOWN if one not in (*START, *LIMITS, *DATABASE)
)
# A server that refuses connections is the database, not a registry.
OF_MIGRATIONS: tuple[Signature, ...] = (
    *_DISK,
    *ENGINE,
    *START,
    *LIMITS,
    *_MEMORY,
    *DATABASE,
    *_APP,
    *_STATUS,
)
