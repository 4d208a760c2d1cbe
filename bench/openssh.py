"""The lower bound: the same script sent by OpenSSH, as many connections at a time as gpuhost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Broken, Sample, timed

# pyinfra's rule, where an inventory has more hosts than this: pyinfra/api/state.py.
PARALLEL = (os.cpu_count() or 1) * 20
# No ControlMaster: a nightly check has no open connection either.
OPTIONS = {
    "BatchMode": "yes",
    "ControlMaster": "no",
    "ControlPath": "none",
    "IdentitiesOnly": "yes",
    "LogLevel": "ERROR",
    "StrictHostKeyChecking": "yes",
}
# The exchange on which gpuhost's library and sshd agree. OpenSSH prefers a post-quantum exchange,
# which costs both ends several times as much: without it, OpenSSH is faster.
SAME_EXCHANGE = "curve25519-sha256"


@dataclass(frozen=True)
class Login:
    """How OpenSSH reaches one host."""

    address: str
    port: int
    user: str
    key: str
    known_hosts: str

    def line(self) -> str:
        """The arguments of ssh; none contains a space."""
        given = {**OPTIONS, "IdentityFile": self.key, "UserKnownHostsFile": self.known_hosts}
        words = [f"-o{name}={value}" for name, value in given.items()]
        return " ".join(["-F", "none", *words, "-p", str(self.port), f"{self.user}@{self.address}"])


def everywhere(
    logins: Sequence[Login], script: str, folder: Path, exchange: str | None = SAME_EXCHANGE
) -> Sample:
    """Run the script on every host; each reply is a file.

    + folder: for the script and the replies
    + exchange: the key exchange; None: the one that OpenSSH prefers
    """
    replies = folder / "replies"
    replies.mkdir(exist_ok=True)
    for old in replies.iterdir():
        old.unlink()
    (folder / "script").write_text(script)
    (folder / "logins").write_text("".join(f"{one.line()}\n" for one in logins))
    # xargs splits a line at its spaces: the login's options become arguments, the last is the host.
    option = f"-oKexAlgorithms={exchange}" if exchange else ""
    one = f'for host; do :; done; exec ssh {option} "$@" sh -s <script >"replies/$host"'
    argv = ["xargs", "-P", str(PARALLEL), "-L", "1", "sh", "-c", one, "sh"]
    sample = timed(argv, cwd=folder, env=_quiet(), stdin=folder / "logins")
    whole = [reply for reply in replies.iterdir() if reply.stat().st_size > 1000]
    if len(whole) != len(logins):
        raise Broken(f"only {len(whole)} of {len(logins)} hosts replied to OpenSSH")
    return sample


def _quiet() -> Mapping[str, str]:
    return {"SSH_AUTH_SOCK": ""}
