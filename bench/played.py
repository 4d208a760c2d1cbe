"""One sshd on this machine that simulates a thousand hosts: 127.1.0.1, 127.1.0.2, …"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.measure import Broken
from bench.openssh import Login
from tests.cli.sshd import packed, sshd_path
from tests.recorded import raw

# A whole reading: the recording is older than some probes.
RECORDED = {"host": "debian13-p40", "probes": {"nft_tables": {"rc": 0, "out": ""}}}


@dataclass(frozen=True)
class Played:
    """The server. port: the same on every address; process: its id, once it runs."""

    folder: Path
    port: int
    process: int = 0

    def cpu(self) -> float:
        """Seconds of CPU until now, with all sessions that have ended (proc_pid_stat(5))."""
        stat = Path(f"/proc/{self.process}/stat").read_text().rpartition(") ")[2]
        return sum(map(int, stat.split()[11:15])) / os.sysconf("SC_CLK_TCK")

    def address(self, number: int) -> str:
        return f"127.1.{number // 250}.{number % 250 + 1}"

    def logins(self, count: int) -> list[Login]:
        key, known = str(self.folder / "user_key"), str(self.folder / "known_hosts")
        user = getpass.getuser()
        return [Login(self.address(n), self.port, user, key, known) for n in range(count)]

    def inventory(self, count: int) -> Path:
        """pyinfra's, of the same logins."""
        hosts = [
            (one.address, {"ssh_user": one.user, "ssh_port": one.port, "ssh_key": one.key,
                           "ssh_known_hosts_file": one.known_hosts,
                           "ssh_config_file": str(self.folder / "none")})
            for one in self.logins(count)
        ]  # fmt: skip
        file = self.folder / f"inventory_{count}.py"
        file.write_text(f"hosts = {hosts!r}\n")
        return file


@contextmanager
def played(folder: Path, most: int) -> Iterator[Played]:
    """Run the server. It answers every login with a recorded reading, whatever the command is.

    + most: the largest number of hosts
    """
    if sshd_path() is None:
        raise Broken("needs an SSH server on this machine: apt-get install openssh-server")
    server = Played(folder, _free_port())
    _write(server, most)
    argv = [str(sshd_path()), "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    process = subprocess.Popen(argv)
    try:
        _wait(server)
        yield replace(server, process=process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _write(server: Played, most: int) -> None:
    folder = server.folder
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=30)
    (folder / "reply").write_text(packed(raw(RECORDED)))
    answer = f'command="cat >/dev/null; cat {folder}/reply",restrict'
    public = (folder / "user_key.pub").read_text()
    (folder / "authorized_keys").write_text(f"{answer} {public}")
    key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    lines = (f"[{server.address(n)}]:{server.port} {key}\n" for n in range(most))
    (folder / "known_hosts").write_text("".join(lines))
    # sshd can listen on 16 addresses or on all; AllowUsers accepts only loopback.
    (folder / "sshd_config").write_text(
        f"Port {server.port}\nListenAddress 0.0.0.0\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nAllowUsers {getpass.getuser()}@127.*\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "KbdInteractiveAuthentication no\nMaxStartups 5000\nPidFile none\nUseDNS no\n"
        # With SHLVL, a bash that sshd starts skips .bashrc, which may take longer than the rest.
        "SetEnv SHLVL=1\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Played) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.1.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise Broken((server.folder / "log").read_text())
