"""Gives git a deploy key or a token, never in a URL or an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from gpuhost.runner.lib import abort, proxy
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, write
from gpuhost.runner.plan import Source
from gpuhost.runner.state.release import Release

CONNECT_S = 20
PROTOCOLS = "http:https:ssh"


@contextmanager
def access(release: Release, source: Source) -> Iterator[dict[str, str]]:
    """The environment for git, and temporary files for it.

    Raises Failure for a missing secret.
    """
    place = release.paths.home / "access"
    # One may be left from an interruption.
    clear(place)
    place.mkdir(mode=0o700)
    try:
        yield {
            "GIT_TERMINAL_PROMPT": "0",
            # Files of Git LFS stay pointers.
            "GIT_LFS_SKIP_SMUDGE": "1",
            # A submodule must not use a directory of this host, or run a command.
            "GIT_ALLOW_PROTOCOL": PROTOCOLS,
            "GIT_SSH_COMMAND": _ssh(release, source, place),
            **_askpass(release, source, place),
            **proxy.environment(),
        }
    finally:
        # The next release deletes what is left.
        with suppress(OSError), abort.cleanup():
            clear(place)


def is_local(url: str) -> bool:
    return url.startswith(("/", "file:"))


def _ssh(release: Release, source: Source, place: Path) -> str:
    options = [
        "BatchMode=yes",
        f"ConnectTimeout={CONNECT_S}",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    ]
    if source.known_hosts:
        write(place / "known_hosts", "\n".join(source.known_hosts) + "\n", mode=0o600)
        options += ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={place / 'known_hosts'}"]
    else:
        options += [
            "StrictHostKeyChecking=accept-new",
            f"UserKnownHostsFile={release.app.known_hosts}",
        ]
    if source.deploy_key:
        # OpenSSH refuses a key without a newline at the end, and one with Windows line endings.
        key = _secret(release, source.deploy_key, "deploy_key").replace("\r\n", "\n")
        write(place / "key", key.rstrip("\n") + "\n", mode=0o600)
        options += ["IdentitiesOnly=yes", f"IdentityFile={place / 'key'}"]
    elif not _is_ssh(source.git):
        # A submodule must not use root's keys.
        options += ["IdentitiesOnly=yes", "IdentityFile=none", "IdentityAgent=none"]
        return " ".join(["ssh", "-F", "none", *_quoted(options)])
    return " ".join(["ssh", *_quoted(options)])


def _is_ssh(url: str) -> bool:
    """git@host:path has no scheme."""
    return not is_local(url) and urlsplit(url).scheme not in ("http", "https")


def _quoted(options: Iterable[str]) -> Iterator[str]:
    return (f"-o {quote(option)}" for option in options)


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
