"""A virtual machine, for what needs its own kernel or a real reboot.

QEMU emulates it (TCG: nested KVM hangs), so it is many times slower than a lab host, and more so on
a busy machine; measured by its own clock it is as fast as a server. SSH and `inventories/lab.py`
reach it like a lab host, on ports of the loopback interface.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import carried, vm_image
from tests.lab.containers import Stream
from tests.lab.hosts import LabHost
from tests.lab.keys import host_key, login_key, remember_host
from tests.lab.lab import Lab
from tests.lab.process import Deadline, LabError, progress, run
from tests.lab.state import HostState, known_hosts_of

QEMU = "qemu-system-x86_64"
PACKAGES = ("qemu-system-x86", "seabios")
# One or two minutes on an idle machine, more on a busy one.
BOOT_SECONDS = 900
MACHINE = (
    "-nodefaults", "-no-user-config", "-display", "none",
    # The guest's clock counts instructions: it runs slowly, and nothing in the guest times out.
    "-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=on",
    "-cpu", "max,la57=off", "-smp", "1", "-m", "3G",
    "-device", "virtio-rng-pci",
    "-append", "root=/dev/vda rw console=ttyS0 mitigations=off",
)  # fmt: skip


@dataclass(frozen=True)
class VirtualMachine:
    """A booted virtual machine.

    + host: for the commands of a user; only what uses SSH works
    + ports: the loopback port of this machine, by port of the guest
    + process: QEMU
    + folder: with the socket of QEMU's monitor, and the output of the console
    """

    host: LabHost
    ports: Mapping[int, int]
    process: subprocess.Popen[bytes]
    folder: Path

    def run(self, command: str, *, timeout: float = 300, stdin: bytes = b"") -> str:
        """Run a command as root over SSH; return its output. LabError if it fails."""
        argv = ["ssh", *self.host.ssh_arguments(), command]
        return run(argv, timeout=timeout, stdin=stdin).stdout

    def boot_id(self) -> str:
        """The id of this boot; each boot has another one."""
        return self.run("cat /proc/sys/kernel/random/boot_id").strip()

    def reboot(self) -> None:
        """An orderly reboot: units stop, file systems are unmounted."""
        booted = self.boot_id()
        self.host.ssh("systemctl reboot", check=False)
        self.wait(after=booted)

    def reset(self) -> None:
        """Press the reset button: no unit is stopped, and unwritten data is lost."""
        with socket.socket(socket.AF_UNIX) as monitor, ExitStack() as stack:
            monitor.settimeout(20)
            monitor.connect(str(self.folder / "monitor"))
            talk = stack.enter_context(monitor.makefile("rw"))
            for command in ("qmp_capabilities", "system_reset"):
                talk.write(json.dumps({"execute": command}) + "\n")
                talk.flush()
                while "return" not in json.loads(talk.readline()):
                    pass

    def wait(self, after: str = "") -> None:
        """Wait until everything that starts at boot has started.

        + after: the id of the previous boot
        """
        deadline = Deadline(BOOT_SECONDS, "booting the virtual machine")
        command = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait"
        while True:
            if self.process.poll() is not None:
                raise LabError(f"the virtual machine ended: {self.console()}")
            if _speaks_ssh(self.ports[22]):
                words = self.host.ssh(command, check=False, timeout=BOOT_SECONDS).stdout.split()
                if len(words) == 2 and words[0] != after and words[1] in ("running", "degraded"):
                    return
            deadline.pause(1)

    def console(self) -> str:
        """The last lines of the serial console and of QEMU."""
        texts = [(self.folder / name).read_text(errors="replace") for name in ("console", "qemu")]
        return "\n".join(text[-3000:] for text in texts)


@contextmanager
def booted(lab: Lab, *ports: int) -> Iterator[VirtualMachine]:
    """A blank virtual machine; it is a host of the lab, and removed after the block.

    + lab: the lab with its package repositories
    + ports: ports of the guest that are reachable from outside, besides that of SSH
    """
    need_qemu()
    image = vm_image.ensure()
    forwarded = dict(zip((22, *ports), _free_ports(1 + len(ports)), strict=True))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpuhost-vm-")))
        progress("booting the virtual machine (about a minute)")
        process = stack.enter_context(_running(_command(image, folder, forwarded), folder))
        machine = VirtualMachine(_host(lab, forwarded[22]), forwarded, process, folder)
        machine.wait()
        machine.run("tar -x -C /", stdin=_carried(lab))
        lab.hosts[machine.host.name] = machine.host
        stack.callback(lab.save)
        stack.callback(lab.hosts.pop, machine.host.name)
        lab.save()
        yield machine


def need_qemu() -> None:
    """Install QEMU if it is missing; LabError if that is not possible."""
    if shutil.which(QEMU) is None:
        progress(f"installing {' '.join(PACKAGES)}")
        run(["apt-get", "update", "-q"], timeout=300)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
        run(install, timeout=900, env={"DEBIAN_FRONTEND": "noninteractive"})


def _command(image: vm_image.Image, folder: Path, ports: Mapping[int, int]) -> list[str]:
    forwards = [f"hostfwd=tcp:127.0.0.1:{ours}-:{its}" for its, ours in ports.items()]
    return [
        # The machine ends with this process.
        "setpriv", "--pdeathsig=KILL", QEMU, *MACHINE,
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        # Written to a temporary overlay, which a reset keeps and the end of QEMU does not.
        "-drive", f"file={image.disk},format=raw,if=virtio,snapshot=on,cache=unsafe",
        "-netdev", ",".join(["user", "id=outside", "ipv6=off", *forwards]),
        "-device", "virtio-net-pci,netdev=outside,romfile=",
        "-serial", f"file:{folder / 'console'}",
        "-qmp", f"unix:{folder / 'monitor'},server=on,wait=off",
    ]  # fmt: skip


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "qemu").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _host(lab: Lab, port: int) -> LabHost:
    state = HostState(
        name=vm_image.NAME,
        release=vm_image.RELEASE,
        card=None,
        container="",
        address="127.0.0.1",
        port=port,
        user="root",
        key=str(login_key().private),
        known_hosts=str(known_hosts_of(lab.name)),
        swap_path="/swapfile",
    )
    remember_host(Path(state.known_hosts), f"[127.0.0.1]:{port}", host_key(state.name))
    return LabHost(lab.engine, lab.name, state, lab.owner)


def _carried(lab: Lab) -> bytes:
    stream = Stream()
    for path, content in carried.files([lab.repository.base.rpartition("/")[2]]).items():
        stream.add(path, content)
    return stream.close()


def _free_ports(count: int) -> Iterable[int]:
    """Free ports; all are bound before one is released, so they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _speaks_ssh(port: int) -> bool:
    """QEMU accepts every connection itself: only a greeting shows that SSH answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
