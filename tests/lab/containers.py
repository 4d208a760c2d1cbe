"""The container of a host: create it, name its disks, and find abandoned ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.lab import cards, carried, network
from tests.lab.engine import LABEL, Engine
from tests.lab.keys import host_key, login_key, remember_host
from tests.lab.process import Deadline, is_alive, run, this_process
from tests.lab.state import HostState, cache_id, locked

INIT = Path(__file__).with_name("init.sh")
SWAP_FOLDER = "/srv/swap"
OWNER = f"{LABEL}.owner"
CACHE = f"{LABEL}.cache"
REPOSITORY = f"{LABEL}.repository"
# --privileged needs CAP_SYS_RESOURCE, which a virtual machine's root may not have.
BOOTABLE = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--cgroupns=host",
    "--stop-signal=SIGRTMIN+3",
    "--env=container=docker",
    "--env=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
)


def engine_volume(container: str) -> str:
    """The disk under the host's own engine: overlay2 needs a real file system."""
    return f"{container}-engine"


def swap_volume(container: str) -> str:
    """The disk for swap files."""
    return f"{container}-swap"


def labels(lab: str, owner: str | None, address: str | None = None) -> list[str]:
    """The labels that `down` and the next run search for."""
    given = {
        LABEL: f"{lab}-{cache_id()}",
        CACHE: cache_id(),
        OWNER: owner,
        network.ADDRESS: address,
    }
    return [f"--label={name}={value}" for name, value in given.items() if value]


def create(engine: Engine, lab: str, state: HostState, image: str, owner: str | None) -> None:
    """Create the stopped container and its disks, with keys, card and copied files."""
    for volume in (engine_volume(state.container), swap_volume(state.container)):
        engine.docker("volume", "create", *labels(lab, owner), volume)
    engine.docker(
        "create", "--name", state.container, "--hostname", state.name,
        "--network", network.NAME, "--ip", state.address, *BOOTABLE,
        *labels(lab, owner, state.address),
        f"--volume={engine_volume(state.container)}:/var/lib/docker",
        f"--volume={swap_volume(state.container)}:{SWAP_FOLDER}",
        image, "/lab/init",
    )  # fmt: skip
    key = host_key(state.name)
    remember_host(Path(state.known_hosts), state.address, key)
    stream = Stream()
    stream.add("/etc/ssh/ssh_host_ed25519_key", key.private.read_bytes(), mode=0o600)
    stream.add("/etc/ssh/ssh_host_ed25519_key.pub", f"{key.public_line}\n".encode())
    for home, uid in (("/root", 0), ("/home/ops", 1000), ("/home/locked", 1001)):
        stream.folder(f"{home}/.ssh", mode=0o700, uid=uid)
        line = f"{login_key().public_line}\n".encode()
        stream.add(f"{home}/.ssh/authorized_keys", line, mode=0o600, uid=uid)
    stream.add("/lab/init", INIT.read_bytes(), mode=0o755)
    stream.add("/lab/new", b"")
    stream.add("/lab/resolv.conf", network.nameservers().encode())
    for path, content in carried.files(network.addresses(engine, REPOSITORY)).items():
        stream.add(path, content)
    if state.card is not None:
        for file in cards.files(state.card):
            if file.target is None:
                stream.add(file.path, file.content, mode=file.mode)
            else:
                stream.link(file.path, file.target)
    engine.docker("cp", "-", f"{state.container}:/", stdin=stream.close())


def run_once(engine: Engine, image: str, script: str, mounts: dict[Path, str]) -> str:
    """Run a shell script in a container with access to the package archives; return its output.

    + mounts: folders of this machine, by their path inside
    """
    volumes = [f"--volume={outside}:{inside}" for outside, inside in mounts.items()]
    made = engine.docker(
        "create",
        "--network",
        network.NAME,
        *labels("once", this_process()),
        *volumes,
        image,
        "sh",
        "-c",
        script,
    ).strip()
    stream = Stream()
    for path, content in carried.files().items():
        stream.add(path, content)
    engine.docker("cp", "-", f"{made}:/", stdin=stream.close())
    try:
        return engine.docker("start", "-a", made, timeout=600)
    finally:
        engine.run("rm", "-f", made, check=False)


def remove(engine: Engine, container: str) -> None:
    """Remove a container and its disks, if they exist."""
    engine.run("rm", "-f", "-v", container, check=False)
    swap_off(engine, swap_volume(container))
    for volume in (engine_volume(container), swap_volume(container)):
        engine.run("volume", "rm", "-f", volume, check=False)


def swap_off(engine: Engine, *volumes: str) -> None:
    """Disable the swap files in volumes: the kernel still uses them after the host is removed."""
    shown = engine.run("volume", "inspect", "-f", "{{.Mountpoint}}", *volumes, check=False)
    for folder in map(Path, shown.stdout.split()):
        for file in folder.glob("swapfile*"):
            run(["swapoff", str(file)], timeout=120, check=False)


def remove_labelled(engine: Engine, label: str) -> int:
    """Remove every container, volume and snapshot with a label; return how many containers."""
    listing = ("ps", "-aq", "--filter", f"label={label}")
    containers = engine.ids(*listing)
    if containers:
        removed = engine.run("rm", "-f", "-v", *containers, timeout=300, check=False)
        # The engine may still be removing for a process that has ended.
        deadline = Deadline(120, f"removing the hosts of {label}: {removed.stderr.strip()}")
        while engine.ids(*listing):
            deadline.pause(0.5)
    volumes = engine.ids("volume", "ls", "-q", "--filter", f"label={label}")
    if volumes:
        swap_off(engine, *volumes)
        engine.docker("volume", "rm", "-f", *volumes, timeout=300)
    images = set(engine.ids("images", "-q", "--filter", f"label={label}"))
    if images:
        engine.run("rmi", "-f", *images, timeout=300, check=False)
    return len(containers)


def any_host(engine: Engine) -> bool:
    """Whether a host of a lab of this state folder exists, running or stopped."""
    here = ("--filter", f"label={CACHE}={cache_id()}")
    addressed = engine.ids("ps", "-aq", *here, "--filter", f"label={network.ADDRESS}")
    served = engine.ids("ps", "-aq", *here, "--filter", f"label={REPOSITORY}")
    return bool(set(addressed) - set(served))


def remove_abandoned(engine: Engine) -> int:
    """Remove everything that belongs to processes that have ended; return how many containers."""
    # Docker refuses to remove what another process is removing.
    with locked("abandoned", where=network.LOCKS):
        dead = [owner for owner in _owners(engine) if not is_alive(owner)]
        return sum(remove_labelled(engine, f"{OWNER}={owner}") for owner in dead)


def _owners(engine: Engine) -> set[str]:
    shown = ("--filter", f"label={OWNER}", "--format", f'{{{{.Label "{OWNER}"}}}}')
    return {
        owner
        for listing in (("ps", "-a"), ("volume", "ls"))
        for owner in engine.docker(*listing, *shown).split()
    }


class Stream:
    """Files for `docker cp -`, with owners and modes."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115

    def add(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0) -> None:
        entry = self._entry(path, mode, uid)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def folder(self, path: str, *, mode: int = 0o755, uid: int = 0) -> None:
        entry = self._entry(path, mode, uid)
        entry.type = tarfile.DIRTYPE
        self._tar.addfile(entry)

    def link(self, path: str, target: str) -> None:
        entry = self._entry(path, 0o777, 0)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def close(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()

    @staticmethod
    def _entry(path: str, mode: int, uid: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.mode, entry.uid, entry.gid = mode, uid, uid
        return entry
