"""Whether a running container can still use the NVIDIA cards that it was given.

The runner asks before and after it starts a release. A reading sends this file to the host as a
program of its own, so it imports nothing of gpuhost.

systemd's daemon-reload takes the devices from the cgroups of running containers if the toolkit's
hook gave them; a new container has them again (nvidia-container-toolkit, issue 48). A driver that
is changed under a container has the same effect.
"""

from __future__ import annotations

import json
import os
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 8
AT_ONCE, MOST = 8, 32
# Bytes of an answer; a line for each card, and one for each of its instances.
MOST_OUTPUT = 1 << 16
LONGEST = 300
APPS = "/opt/gpuhost/"
# has: it can use them; lost: it could, and cannot any more; none: it has none; gone: it has stopped
# since; unknown: no answer.
CARDS_HELD, CARDS_LOST, NO_CARDS, CARDS_GONE, CARDS_UNKNOWN = (
    "has",
    "lost",
    "none",
    "gone",
    "unknown",
)
LOST_TEXT = re.compile(
    r"Failed to initialize NVML: (?:Unknown Error|Driver Not Loaded)|No devices were found"
    r"|Driver/library version mismatch|couldn.?t communicate with the NVIDIA driver",
    re.IGNORECASE,
)
# Other checks report these.
GONE = re.compile(r"is not running|no such container|is restarting|is paused", re.IGNORECASE)
# nvidia-smi is not in the image, and the toolkit did not put it there.
NO_PROGRAM = re.compile(r"executable file not found|no such file or directory", re.IGNORECASE)
LISTED = re.compile(r"^GPU \d+: ", re.MULTILINE | re.ASCII)
# By the runtime alone a container gets only what its environment names, perhaps nothing.
RESERVED, BY_RUNTIME = "reserved", "runtime"
NO_DEVICES = "no devices were found"
NODES = "/dev/nvidia"
CONTROL = "dev/nvidiactl"
CDI_KIND = "nvidia.com/gpu"


def card_use(*, requests: object, runtime: object, devices: object) -> str:
    """How a container was given NVIDIA's cards: RESERVED, BY_RUNTIME, or "" for not at all.

    + requests, runtime, devices: DeviceRequests, Runtime and Devices of the engine's HostConfig
    """
    paths = [str(device.get("PathOnHost")) for device in _mappings(devices)]
    if any(map(_is_nvidia, _mappings(requests))) or any(p.startswith(NODES) for p in paths):
        return RESERVED
    return BY_RUNTIME if runtime == "nvidia" else ""


def is_given_by_hook(*, requests: object, runtime: object) -> bool:
    """Whether the toolkit's hook or runtime gave it cards, so that systemd does not know of them.

    What is given by CDI, or as a device by its path, is in the container's own specification.
    """
    given = [entry for entry in _mappings(requests) if entry.get("Driver") != "cdi"]
    return runtime == "nvidia" or any(map(_is_nvidia, given))


def _mappings(value: object) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _is_nvidia(request: Mapping[str, Any]) -> bool:
    driver = request.get("Driver")
    if driver == "cdi":
        return CDI_KIND in str(request.get("DeviceIDs"))
    # For Docker that is also "gpu" without a driver.
    return driver == "nvidia" or (not driver and "'gpu'" in str(request.get("Capabilities")))


def judge(status: int | None, output: str, use: str = RESERVED) -> tuple[str, str]:
    """What `nvidia-smi -L` in the container says; status None: it did not end in time."""
    text = " ".join(output.split())[:LONGEST]
    if status is None:
        text = f"nvidia-smi did not end within {SECONDS} s in it, or printed too much"
        return CARDS_UNKNOWN, text
    if use == BY_RUNTIME and NO_DEVICES in output.lower():
        return NO_CARDS, ""
    if match := LOST_TEXT.search(output):
        return CARDS_LOST, match[0]
    # 14: a card's infoROM is corrupt, which is a warning.
    if status in (0, 14) and LISTED.search(output):
        return CARDS_HELD, ""
    if GONE.search(output):
        return CARDS_GONE, text
    return (NO_CARDS if NO_PROGRAM.search(output) else CARDS_UNKNOWN), text


def ask_for_cards(
    container: str, pid: int, use: str, environment: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """A running container: has, lost, none, gone or unknown, and the evidence.

    + pid: of its first process, on the host
    + use: of card_use()
    + environment: of the docker command; None: this process's
    """
    words = ("docker", "exec", container, "nvidia-smi", "-L")
    try:
        status, output = _run(words, environment)
    except OSError as error:
        return CARDS_UNKNOWN, str(error)
    found = judge(status, output.decode(errors="replace"), use)
    return _open_node(pid) if found[0] == NO_CARDS else found


def _run(words: tuple[str, ...], environment: Mapping[str, str] | None) -> tuple[int | None, bytes]:
    """The exit status and the output; None: no end in time, or of its output.

    The program is one of the container, which can print without end.
    """
    deadline, output = time.monotonic() + SECONDS, b""
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        number = process.stdout.fileno()
        while len(output) < MOST_OUTPUT and (left := deadline - time.monotonic()) > 0:
            if not select.select([number], [], [], left)[0]:
                break
            piece = os.read(number, MOST_OUTPUT)
            output += piece
            if not piece:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(left), output
        process.kill()
    return None, b""


def _open_node(pid: int) -> tuple[str, str]:
    """For an image without nvidia-smi: open its device node under the rules of its cgroup."""
    node, group = Path(f"/proc/{pid}/root") / CONTROL, _cgroup(pid)
    try:
        if not stat.S_ISCHR(node.lstat().st_mode):
            return NO_CARDS, ""
    except OSError:
        return NO_CARDS, ""
    if group is None:
        return CARDS_UNKNOWN, "its cgroup was not found"
    child = os.fork()
    if child == 0:
        os._exit(_open_in(group, node))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return CARDS_HELD, ""
    text = f"/{CONTROL}: {os.strerror(status) if 0 < status < 255 else 'not opened'}"
    return (CARDS_LOST if status == 1 else CARDS_UNKNOWN), text


def _open_in(group: Path, node: Path) -> int:
    """The error of opening it, 0 for none; 255: this process could not join the cgroup."""
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        return 255
    try:
        # Whoever is root in the container could put a link there.
        os.close(os.open(node, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError as error:
        return error.errno or 255
    return 0


def _cgroup(pid: int) -> Path | None:
    """The directory that decides on devices: of cgroup v1's controller, else of v2."""
    root, found = Path("/sys/fs/cgroup"), None
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "devices" in controllers.split(","):
            return root / "devices" / path.lstrip("/")
        if not controllers:
            found = root / path.lstrip("/")
    return found


def _running(inspected: Path) -> list[tuple[str, int, str]]:
    """The containers of apps with cards, from what docker_inspect printed: a line for each."""
    found = []
    for line in inspected.read_text(errors="replace").splitlines():
        value = json.loads(line)
        config = {key: value.get(key) for key in ("requests", "runtime", "devices")}
        is_ours = str(value.get("directory")).startswith(APPS)
        use = card_use(**config) if is_ours and value.get("state") == "running" else ""
        if use:
            found.append((str(value["id"]), int(value["pid"]), use))
    return found[:MOST]


def main(reading: Path) -> None:
    """Prints the answers by id.

    + reading: the directory of the reading, with what its other probes printed
    """
    # 14: see judge. A driver that hangs would leave a process in each container at each reading.
    driver_works = (reading / "nvidia_smi.rc").read_text().strip() in ("0", "14")
    containers = _running(reading / "docker_inspect.out") if driver_works else []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: ask_for_cards(*each), containers))
    print(json.dumps({each[0]: answer for each, answer in zip(containers, answers)}))  # noqa: B905


if __name__ == "__main__" and sys.argv[1:]:
    try:
        main(Path(sys.argv[1]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.exit(f"the cards of containers: {error}")
