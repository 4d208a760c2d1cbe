"""A booted host: running commands on it, stopping, copying and removing it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from tests.lab import containers, images, network
from tests.lab.engine import LABEL, Engine
from tests.lab.keys import login_key
from tests.lab.process import Deadline, LabError, run
from tests.lab.state import HostState, cache_id, known_hosts_of

BOOT_SECONDS = 90


@dataclass(frozen=True)
class Completed:
    """How a command on a host ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Snapshot:
    """A host's disks at one moment: an image of its root, a copy of its engine's volume."""

    image: str
    volume: str


@dataclass(frozen=True)
class LabHost:
    """One host of the lab, running or stopped.

    + engine: the engine that runs it
    + lab: the lab it belongs to
    + state: how to reach it
    + owner: it is removed after the end of this process; None: it stays until `down`

    **Example:**

    .. code:: python

        host = boot(engine, "lab", "one", "trixie")
        assert host.run("id -un").stdout == "root\\n"
    """

    engine: Engine
    lab: str
    state: HostState
    owner: str | None = None

    @property
    def name(self) -> str:
        return self.state.name

    def run(
        self, command: str, *, timeout: float = 120, stdin: bytes | None = None, check: bool = True
    ) -> Completed:
        """Run a shell command on the host as root, without SSH: works even if SSH does not.

        + command: for ``sh -c``
        + timeout: in seconds
        + stdin: its input
        + check: raise LabError if it fails
        """
        argv = ("exec", "-i", self.state.container, "sh", "-c", command)
        done = self.engine.run(*argv, timeout=timeout, stdin=stdin, check=check)
        return Completed(done.returncode, done.stdout, done.stderr)

    def ssh(
        self, command: str, *, user: str | None = None, timeout: float = 120, check: bool = True
    ) -> Completed:
        """Run a command over SSH, with a strict check of the host key."""
        done = run(["ssh", *self.ssh_arguments(user), command], timeout=timeout, check=check)
        return Completed(done.returncode, done.stdout, done.stderr)

    def ssh_arguments(self, user: str | None = None) -> list[str]:
        """The arguments of the OpenSSH client for a login."""
        options = {
            "IdentityFile": self.state.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.state.known_hosts,
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        login = f"{user or self.state.user}@{self.state.address}"
        return ["-F", "none", *given, "-p", str(self.state.port), login]

    def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write a file as root, without SSH."""
        stream = containers.Stream()
        stream.add(path, content, mode=mode)
        # `docker cp` would write under what the host has mounted, such as Debian 13's /tmp.
        argv = ("exec", "-i", self.state.container, "tar", "-x", "-C", "/")
        self.engine.docker(*argv, stdin=stream.close())

    def wait(self, seconds: float = BOOT_SECONDS) -> None:
        """Wait until systemd has finished booting and SSH answers."""
        deadline = Deadline(seconds, f"{self.name}: booting")
        while not self._booted():
            if not self._is_running():
                logs = self.engine.run("logs", "--tail=20", self.state.container, check=False)
                raise LabError(f"{self.name} stopped while booting: {logs.stdout}{logs.stderr}")
            deadline.pause()
        while not _speaks_ssh(self.state.address, self.state.port):
            deadline.pause()

    def stop(self) -> None:
        """Shut down, as for a reboot."""
        self.engine.docker("stop", "--time=30", self.state.container, timeout=90)

    def start(self) -> None:
        """Boot again, and wait."""
        self.engine.docker("start", self.state.container)
        self.wait()

    def reboot(self) -> None:
        """Stop and start: kernel state outside the host's namespaces stays as it is."""
        self.stop()
        self.start()

    def destroy(self) -> None:
        """Remove the host and its disks."""
        containers.remove(self.engine, self.state.container)

    def snapshot(self, label: str) -> Snapshot:
        """Save the disks in their current state; the host reboots.

        + label: names the snapshot among this host's
        """
        kept = Snapshot(
            image=f"gpuhost-lab/snapshot:{self.state.container}-{label}",
            volume=f"{self.state.container}-{label}",
        )
        self.stop()
        marks = [
            f"LABEL {LABEL}={self.lab}-{cache_id()}",
            *([f"LABEL {containers.OWNER}={self.owner}"] * bool(self.owner)),
        ]
        changes = [part for mark in marks for part in ("--change", mark)]
        self.engine.docker("commit", *changes, self.state.container, kept.image, timeout=300)
        self._copy_volume(containers.engine_volume(self.state.container), kept.volume, kept.image)
        self.start()
        return kept

    def reset(self, snapshot: Snapshot | None = None) -> None:
        """Reset to a snapshot, or to a blank host; name, address, keys and card stay."""
        # Between the old container and the new one the address is unused.
        with network.addresses_reserved():
            self.destroy()
            self._install(snapshot)
        self.start()

    def _install(self, snapshot: Snapshot | None) -> None:
        image = snapshot.image if snapshot else images.reference(self.state.release)
        containers.create(self.engine, self.lab, self.state, image, self.owner)
        if snapshot:
            target = containers.engine_volume(self.state.container)
            self._copy_volume(snapshot.volume, target, snapshot.image)

    def _copy_volume(self, source: str, target: str, image: str) -> None:
        marks = containers.labels(self.lab, self.owner)
        self.engine.docker("volume", "create", *marks, target)
        self.engine.docker(
            "run", "--rm", "--cap-add=SYS_ADMIN", "--network=none", *marks,
            f"--volume={source}:/from:ro", f"--volume={target}:/to",
            image, "sh", "-c", "find /to -mindepth 1 -delete; cp -a /from/. /to", timeout=300,
        )  # fmt: skip

    def _booted(self) -> bool:
        state = self.engine.run(
            "exec", self.state.container, "systemctl", "is-system-running", check=False
        )
        return state.stdout.strip() in ("running", "degraded")

    def _is_running(self) -> bool:
        shown = self.engine.docker("inspect", "-f", "{{.State.Running}}", self.state.container)
        return shown.strip() == "true"


def boot(
    engine: Engine,
    lab: str,
    name: str,
    release: str,
    *,
    card: str | None = None,
    snapshot: Snapshot | None = None,
    owner: str | None = None,
) -> LabHost:
    """Boot one host and wait until it accepts logins.

    + lab: which lab it belongs to
    + name: its host name
    + release: "bookworm" or "trixie"
    + card: a simulated card (tests.lab.cards), or None
    + snapshot: start from these disks; None: a blank host
    + owner: the process after whose end the host is removed; None: it stays until `down`
    """
    images.ensure(engine, images.check_release(release))
    container = f"{lab}-{cache_id()}-{name}"
    containers.remove(engine, container)
    with network.free_address(engine) as address:
        state = HostState(
            name=name,
            release=release,
            card=card,
            container=container,
            address=address,
            port=22,
            user="root",
            key=str(login_key().private),
            known_hosts=str(known_hosts_of(lab)),
            swap_path=f"{containers.SWAP_FOLDER}/swapfile",
        )
        host = LabHost(engine, lab, state, owner)
        host._install(snapshot)
    host.start()
    return host


def _speaks_ssh(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
