"""The container engine of the lab: a running one, or a private dockerd."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.process import Deadline, LabError, need, progress, run
from tests.lab.state import folder, locked

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
INOTIFY_INSTANCES = 1024
LABEL = "gpuhost-lab"


@dataclass(frozen=True)
class Engine:
    """A running engine.

    + socket: as in DOCKER_HOST
    """

    socket: str

    def docker(
        self, *args: str, timeout: float = 60, stdin: bytes | None = None, check: bool = True
    ) -> str:
        """Standard output of one docker command."""
        return self.run(*args, timeout=timeout, stdin=stdin, check=check).stdout

    def run(
        self, *args: str, timeout: float = 60, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """One docker command, with its exit status and both outputs."""
        return run(["docker", "-H", self.socket, *args], timeout=timeout, stdin=stdin, check=check)

    def ids(self, *listing: str) -> list[str]:
        """What a listing command with -q prints, such as ``ids("ps", "-aq")``."""
        return self.docker(*listing).split()


def why_not() -> str | None:
    """Why the lab cannot run on this machine; None if it can. Changes nothing."""
    if os.geteuid() != 0:
        return "not root: the lab builds root file systems and boots hosts"
    if _answering() is not None:
        return None
    if shutil.which("dockerd") is None and shutil.which("apt-get") is None:
        return "no container engine answers, and there is no apt-get to install docker.io with"
    return None


def ensure() -> Engine:
    """A running engine; if none runs, install and start a private dockerd."""
    reason = why_not()
    if reason is not None:
        raise LabError(reason)
    need("docker", "ssh")
    _allow_many_systemds()
    with locked("engine"):
        return _answering() or _start()


def _allow_many_systemds() -> None:
    """Every systemd uses inotify instances of this machine: 128 are enough for ten hosts."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(f"{INOTIFY_INSTANCES}\n")


def existing() -> Engine | None:
    """The running engine, or None; none is started."""
    return _answering() if shutil.which("docker") is not None else None


def stop_private() -> bool:
    """Stop the private dockerd if it runs and has no lab container."""
    with locked("engine"):
        engine = Engine(_private_socket())
        if not _answers(engine.socket) or engine.ids("ps", "-aq", "--filter", f"label={LABEL}"):
            return False
        pid = int((_private() / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = Deadline(60, "stopping the private dockerd")
        while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
            deadline.pause()
        return True


def _answering() -> Engine | None:
    named = os.environ.get("DOCKER_HOST")
    candidates = [named] if named else [DEFAULT_SOCKET, _private_socket()]
    return next((Engine(socket) for socket in candidates if _answers(socket)), None)


def _answers(socket: str) -> bool:
    path = socket.removeprefix("unix://")
    if socket.startswith("unix://") and not Path(path).exists():
        return False
    if shutil.which("docker") is None:
        return False
    argv = ["docker", "-H", socket, "version", "--format", "{{.Server.Version}}"]
    return run(argv, timeout=20, check=False).returncode == 0


def _private() -> Path:
    return folder() / "engine"


def _private_socket() -> str:
    return f"unix://{_private() / 'docker.sock'}"


def _start() -> Engine:
    need("dockerd")
    engine = Engine(_private_socket())
    if _answers(engine.socket):
        return engine
    progress("starting a private dockerd")
    where = _private()
    where.mkdir(parents=True, exist_ok=True)
    _forget_dead(where / "pid")
    argv = ["dockerd", "--data-root", str(where / "data"), "--exec-root", str(where / "exec")]
    argv += ["-H", engine.socket, "--pidfile", str(where / "pid")]
    # Another engine may own docker0; the lab has its own network.
    argv += ["--bridge=none"]
    with (where / "log").open("w") as log:
        daemon = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = Deadline(60, f"starting dockerd (its log: {where / 'log'})")
    while not _answers(engine.socket):
        if daemon.poll() is not None:
            lines = (where / "log").read_text(errors="replace").strip().splitlines()[-3:]
            raise LabError("dockerd does not start here: " + " / ".join(lines))
        deadline.pause(0.2)
    return engine


def _forget_dead(pidfile: Path) -> None:
    """After a crash another process may have the pid of the file, and dockerd would not start."""
    if not pidfile.exists():
        return
    command = Path(f"/proc/{pidfile.read_text().strip()}/comm")
    if not command.exists() or command.read_text().strip() != "dockerd":
        pidfile.unlink()


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
