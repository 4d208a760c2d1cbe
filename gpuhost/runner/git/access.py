"""Gives git a deploy key or a token, never in a URL or an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from gpuhost.runner.lib import abort, proxy
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, write
from gpuhost.runner.plan import Source
from gpuhost.runner.state.release import Release

CONNECT_S = 20
# Root's settings may name passwords, filters and other servers, and ~/.netrc has passwords.
NOTHING_OF_ROOT = {"HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
SSH_SERVER = re.compile(r"ssh://([^/]+)/|([^:/@]+@(?:\[[^\]]*\]|[^:/\[]+)):")


@dataclass(frozen=True)
class Logins:
    """Environments for git.

    + source: with root's settings, and its keys if the app has none: a person chose that server
    + server: of the source; ssh: options; key: the app's own
    """

    source: dict[str, str]
    server: str
    ssh: tuple[str, ...]
    key: Path | None

    def to_submodule(self, address: str) -> dict[str, str]:
        """Nothing of root, whoever wrote that address; of the app what is for the source's server.

        The script for the token looks at the server itself.
        """
        key = self.key if _server(address) == self.server != "" else None
        options = ("IdentitiesOnly=yes", "IdentityAgent=none", f"IdentityFile={key or 'none'}")
        ssh = _ssh(*self.ssh, *options, alone=True)
        return {**self.source, **NOTHING_OF_ROOT, "GIT_SSH_COMMAND": ssh}


@contextmanager
def logins_for(release: Release, source: Source) -> Iterator[Logins]:
    """What git needs for the servers, in temporary files.

    Raises Failure for a missing secret.
    """
    place = release.paths.home / "access"
    # One may be left from an interruption.
    clear(place)
    place.mkdir(mode=0o700)
    try:
        ssh, key = _ssh_options(release, source, place), _deploy_key(release, source, place)
        own = ("IdentitiesOnly=yes", f"IdentityFile={key}") if key else ()
        environment = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": _ssh(*ssh, *own),
            **_askpass(release, source, place),
            **proxy.environment(),
        }
        yield Logins(source=environment, server=_server(source.git), ssh=ssh, key=key)
    finally:
        # The next release deletes what is left.
        with suppress(OSError), abort.cleanup():
            clear(place)


def _ssh_options(release: Release, source: Source, place: Path) -> tuple[str, ...]:
    options = (
        "BatchMode=yes",
        f"ConnectTimeout={CONNECT_S}",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    )
    if source.known_hosts:
        known, check = place / "known_hosts", "yes"
        write(known, "\n".join(source.known_hosts) + "\n", mode=0o600)
    else:
        known, check = release.app.known_hosts, "accept-new"
    return (*options, f"StrictHostKeyChecking={check}", f"UserKnownHostsFile={known}")


def _deploy_key(release: Release, source: Source, place: Path) -> Path | None:
    if source.deploy_key is None:
        return None
    # OpenSSH refuses a key without a newline at the end, and one with Windows line endings.
    key = _secret(release, source.deploy_key, "deploy_key").replace("\r\n", "\n")
    write(place / "key", key.rstrip("\n") + "\n", mode=0o600)
    return place / "key"


def _ssh(*options: str, alone: bool = False) -> str:
    """The command. + alone: without root's own settings"""
    words = ("ssh", *(("-F", "none") if alone else ()))
    return " ".join([*words, *(f"-o {quote(option)}" for option in options)])


def _server(address: str) -> str:
    """User, host and port of an address for ssh; "" for others."""
    found = SSH_SERVER.match(address)
    server = (found[1] or found[2]) if found else ""
    return server.removesuffix(":22")


def _askpass(release: Release, source: Source, place: Path) -> dict[str, str]:
    if source.token is None:
        return {"GIT_ASKPASS": "/bin/false"}
    write(place / "token", _secret(release, source.token, "token"), mode=0o600)
    write(place / "askpass", askpass_script(source, place / "token"), mode=0o700)
    return {"GIT_ASKPASS": str(place / "askpass")}


def askpass_script(source: Source, token: Path) -> str:
    """Answers only for the repository's own server, not for that of a submodule or a redirect."""
    address = urlsplit(source.git)
    server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
    with_user = f"{address.scheme}://*@{address.netloc.rpartition('@')[2]}"
    user = address.username or source.user
    return (
        "#!/bin/sh\n"
        'case "$1" in\n'
        # Of a user that older versions of git print as it is: the server follows it.
        """  *\\'*\\'*\\'*) exit 1 ;;\n"""
        f"  {quote(_prompt('Username', server))}) printf '%s\\n' {quote(user)} ;;\n"
        f"  {_pattern(_prompt('Password', with_user))}) cat {quote(str(token))} ;;\n"
        f"  {quote(_prompt('Password', server))}) cat {quote(str(token))} ;;\n"
        "  *) exit 1 ;;\n"
        "esac\n"
    )


def _prompt(word: str, server: str) -> str:
    return f"{word} for '{server}': "


def _pattern(text: str) -> str:
    """Quoted for sh, except for the star."""
    return "*".join(quote(part) for part in text.split("*", 1))


def _secret(release: Release, name: str, key: str) -> str:
    if name not in release.secrets:
        raise Failure(
            f"the secret {name} of source.{key} is missing",
            fix=f"give {name}, or remove {key} from x-gpuhost.source",
        )
    return release.secrets[name]
