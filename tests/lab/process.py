"""Bounded commands on this machine, and progress lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# The packages that provide a missing command. Debian 13 and Ubuntu have the client of docker.io in
# its own package.
PACKAGES_OF = {
    "dockerd": ("docker.io", "iptables"),
    "docker": ("docker-cli", "docker.io"),
    "mmdebstrap": ("mmdebstrap", "debian-archive-keyring"),
    "gpg": ("gnupg",),
    "gpg-agent": ("gnupg",),
    "gcc": ("gcc", "libc6-dev"),
    "ssh": ("openssh-client",),
}


# Workers of one test run may install at the same time.
LOCK_WAIT = ("-o", "DPkg::Lock::Timeout=600")


class LabError(RuntimeError):
    """The lab cannot do what was requested; the message is for a person."""


def progress(message: str) -> None:
    """Print a line on stderr before a slow step."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    + argv: the command and its arguments
    + timeout: seconds
    + stdin: its input; empty by default
    + env: added to this process's environment
    + check: raise LabError if it fails
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv[:6])} … did not end in {timeout:.0f} s") from error
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed") from error
    result = subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )
    if check and result.returncode != 0:
        output = (result.stderr.strip() or result.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(argv[:6])} … ended with {result.returncode}: {output}")
    return result


def need(*commands: str) -> None:
    """Install the packages of these commands, if they are missing (Debian and Ubuntu, root)."""
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    packages = sorted({package for command in missing for package in PACKAGES_OF[command]})
    progress(f"installing {' '.join(packages)} (for {', '.join(missing)})")
    update_lists()
    known = [name for name in packages if _in_apt(name)]
    run(
        [*("apt-get", "install", "-y", "-q", "--no-install-recommends"), *LOCK_WAIT, *known],
        timeout=900,
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )
    still = [command for command in missing if shutil.which(command) is None]
    if still:
        raise LabError(f"{', '.join(still)}: not there after installing {' '.join(known)}")


def update_lists() -> None:
    """apt-get update, as soon as no other process updates: it has no option to wait for that."""
    deadline = Deadline(600, "waiting for another apt-get update of this machine")
    while True:
        done = run(["apt-get", "update", "-q"], timeout=300, env={"LC_ALL": "C"}, check=False)
        if "Could not get lock" not in done.stderr:
            break
        progress("another process updates apt's lists: waiting")
        deadline.pause(2)
    if done.returncode != 0:
        raise LabError(f"apt-get update ended with {done.returncode}: {done.stderr.strip()}")


def _in_apt(package: str) -> bool:
    return bool(run(["apt-cache", "madison", package], timeout=60).stdout.strip())


def this_process() -> str:
    """This process as an owner: pid and start time, so that no later process is mistaken for it."""
    return _identity(str(os.getpid()))


def is_alive(owner: str) -> bool:
    """Whether the process that `this_process` identified still runs."""
    return _identity(owner.partition(".")[0]) == owner


def _identity(pid: str) -> str:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{pid}.{after_name[19]}"


class Deadline:
    """The end of a wait.

    + seconds: from now
    + what: named in the error
    """

    def __init__(self, seconds: float, what: str) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what

    def pause(self, seconds: float = 0.1) -> None:
        """Sleep a little, or raise LabError if the time is over."""
        if time.monotonic() >= self._end:
            raise LabError(f"{self._what}: not within {self._seconds:.0f} s")
        time.sleep(seconds)
