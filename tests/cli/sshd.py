"""A real sshd on the loopback addresses: every address is a host, every key a behaviour.

The key of a login selects its command, with `command=` in authorized_keys. One server simulates
good hosts, hosts that hang, and hosts with invalid replies.
"""

from __future__ import annotations

import base64
import getpass
import io
import os
import shlex
import socket
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

from tests.recorded import raw

ADDRESSES = tuple(f"127.0.0.{last}" for last in range(2, 14))
# The reply of a recorded host; first it reads the script on stdin to its end, like a shell.
REPLY = "cat >/dev/null; cat {reply}"
REAL = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'


@dataclass
class Sshd:
    """One server. port: the same on every address."""

    root: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _keys: dict[str, Path] = field(default_factory=dict)

    def start(self) -> None:
        self.port = _free_port()
        public_key(self.root / "host_key")
        (self.root / "authorized_keys").touch()
        (self.root / "sshd_config").write_text(self._config())
        if os.geteuid() == 0:
            # The privilege separation directory of Debian's sshd; its unit normally creates it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.process = subprocess.Popen(
            [sshd_path(), "-D", "-f", self.root / "sshd_config", "-E", self.root / "sshd.log"]
        )
        self._wait()

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def key(self, command: str) -> Path:
        """A private key; a login with it runs this command, whatever it requests."""
        if command not in self._keys:
            path = self.root / f"user_key_{len(self._keys)}"
            public = public_key(path)
            quoted = command.replace('"', '\\"')
            with (self.root / "authorized_keys").open("a") as authorized:
                authorized.write(f'restrict,port-forwarding,command="{quoted}" {public}\n')
            self._keys[command] = path
        return self._keys[command]

    def login(self, command: str = REAL, **more: Any) -> dict[str, Any]:
        """The host data of a login with that behaviour."""
        return {
            "ssh_user": getpass.getuser(),
            "ssh_port": self.port,
            "ssh_key": str(self.key(command)),
            "ssh_known_hosts_file": str(self.known_hosts()),
            "ssh_config_file": str(self.root / "no_ssh_config"),
            **more,
        }

    def recorded(self, name: str, **case: Any) -> str:
        """The command of a host that replies with a recording, and counts its readings."""
        reply = self.root / f"{name}.reply"
        reply.write_text(packed(raw({"host": "debian13", **case})))
        count, quoted = shlex.quote(str(self.count_file(name))), shlex.quote(str(reply))
        return f"echo exec >>{count}; {REPLY.format(reply=quoted)}"

    def count_file(self, name: str) -> Path:
        return self.root / f"{name}.count"

    def execs(self, name: str) -> int:
        return len(self.count_file(name).read_text().splitlines())

    def host_key(self) -> str:
        """TYPE BASE64, as in known_hosts."""
        return " ".join((self.root / "host_key.pub").read_text().split()[:2])

    def known_hosts(self) -> Path:
        """All addresses of the server, with their host key."""
        file = self.root / "known_hosts"
        lines = (f"[{address}]:{self.port} {self.host_key()}\n" for address in ADDRESSES)
        file.write_text("".join(lines))
        return file

    def _config(self) -> str:
        listen = "".join(f"ListenAddress {address}\n" for address in ADDRESSES)
        return (
            f"Port {self.port}\n{listen}HostKey {self.root}/host_key\n"
            f"AuthorizedKeysFile {self.root}/authorized_keys\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            "MaxStartups 100\nPidFile none\nKbdInteractiveAuthentication no\n"
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((ADDRESSES[-1], self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.root / "sshd.log").read_text())


def sshd_path() -> str | None:
    return which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def packed(probes: dict[str, Any]) -> str:
    """The output of the collector with these probes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, probe in probes.items():
            rc = "124" if probe["rc"] is None else str(probe["rc"])
            for suffix, text in (("rc", rc), ("out", probe["out"]), ("err", probe["err"])):
                # As the collector does.
                if not text and suffix != "rc":
                    continue
                content = text.encode()
                member = tarfile.TarInfo(f"./{name}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return base64.encodebytes(buffer.getvalue()).decode()


def public_key(path: Path) -> str:
    """A new key pair; its public half, TYPE BASE64."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, timeout=30)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return int(probe.getsockname()[1])
