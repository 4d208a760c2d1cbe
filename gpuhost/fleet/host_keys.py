"""Host keys that are not in known_hosts are refused and shown, never accepted automatically.

By default, pyinfra's own client asks on the terminal or accepts the key; through a ProxyJump it
always asks. A check that runs from cron must do neither.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import pyinfra.connectors.ssh
import pyinfra.connectors.sshuserclient.client
from paramiko import BadHostKeyException, MissingHostKeyPolicy, PKey, SSHException
from paramiko import SSHClient as ParamikoClient
from pyinfra.connectors.sshuserclient import SSHClient
from typing_extensions import override


class HostKeyRefused(SSHException):
    """The server's key is not the known one.

    + name: as in known_hosts, ``HOST`` or ``[HOST]:PORT``
    + known: the key in known_hosts; None: no key
    + file: the known_hosts file in use
    """

    def __init__(self, name: str, offered: PKey, known: PKey | None, file: Path) -> None:
        self.name, self.offered, self.known, self.file = name, offered, known, file
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        if self.known is None:
            return f"unknown host key: {self.name} shows {_fingerprint(self.offered)}"
        return (
            f"CHANGED host key: {self.name} shows {_fingerprint(self.offered)}, "
            f"known is {_fingerprint(self.known)}"
        )

    @property
    def fix(self) -> str:
        """The command that accepts exactly the key whose fingerprint was shown."""
        file = quote(str(self.file))
        if self.known is None:
            line = f"{self.name} {self.offered.get_name()} {self.offered.get_base64()}"
            public = f"/etc/ssh/ssh_host_{_family(self.offered)}_key.pub"
            return (
                f"if `ssh-keygen -lf {public}` on the host's console prints the same, "
                f"accept it: echo {quote(line)} >>{file}"
            )
        return (
            "the connection may be intercepted: find out why the key changed. If the host was "
            f"reinstalled, remove the old key: ssh-keygen -R {quote(self.name)} -f {file}"
        )


def _fingerprint(key: PKey) -> str:
    return f"{key.fingerprint} ({key.get_name()})"


def _family(key: PKey) -> str:
    """`ssh-ed25519` -> `ed25519`, `ecdsa-sha2-nistp256` -> `ecdsa`, as in sshd's key files."""
    return key.get_name().removeprefix("ssh-").partition("-")[0]


class _Refuse(MissingHostKeyPolicy):
    @override
    def missing_host_key(self, client: ParamikoClient, hostname: str, key: PKey) -> None:
        raise HostKeyRefused(hostname, key, None, _known_hosts(client))


class StrictClient(SSHClient):
    """pyinfra's client, which neither asks nor accepts."""

    @override
    def set_missing_host_key_policy(self, policy: Any) -> None:
        super().set_missing_host_key_policy(_Refuse)

    @override
    def connect(self, hostname: str, *args: Any, **kwargs: Any) -> None:
        try:
            super().connect(hostname, *args, **kwargs)  # type: ignore[no-untyped-call]
        except BadHostKeyException as error:
            port = int(self._ssh_config.get("port", 22))
            name = error.hostname if port == 22 else f"[{error.hostname}]:{port}"
            raise HostKeyRefused(name, error.key, error.expected_key, _known_hosts(self)) from error


def _known_hosts(client: ParamikoClient) -> Path:
    file = getattr(client, "_host_keys_filename", None)
    return Path(file) if file else Path("~/.ssh/known_hosts").expanduser()


def refuse_unknown_host_keys() -> None:
    """From now on this process connects with StrictClient, to hosts and to jump hosts."""
    pyinfra.connectors.ssh.SSHClient = StrictClient  # type: ignore[misc]
    pyinfra.connectors.sshuserclient.client.SSHClient = StrictClient  # type: ignore[misc]
