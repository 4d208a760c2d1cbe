"""Vendors' apt repositories: the key is checked before apt ever sees it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path

from pyinfra import host as this_host
from pyinfra.api import FunctionCommand, QuoteString, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.domain.apt.openpgp import NoKey, armor, fingerprints
from gpuhost.domain.apt.repository import ORIGINALS, Repository, key_path, sources_path
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.docker_packages import NAME as DOCKER
from gpuhost.plans.nvidia_repository import NAME as NVIDIA
from gpuhost.plans.toolkit_packages import NAME as TOOLKIT
from gpuhost.remote.commands import connector_arguments, put, remove, run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

FETCH_SECONDS = 120
LARGEST_KEY = 1 << 20


@operation
def usable(settings: Settings | None = None) -> Commands:
    """
    Have no repository that gpuhost added and whose key was lost or damaged: apt refuses to update
    for one of those, whatever it is asked for. The noun it belongs to adds it again.

    + settings: the settings by which a deploy has read this host; no second reading then

    **Example:**

    .. code:: python

        from gpuhost.operations import repository
        repository.usable(name="Repositories that apt can use")
    """
    snapshot = read(settings or Settings())
    lost = [name for name in (DOCKER, TOOLKIT, NVIDIA) if _has_lost_its_key(snapshot, name)]
    if not lost:
        this_host.noop("every repository has its key")
    for name in lost:
        yield remove(sources_path(name))


def _has_lost_its_key(snapshot: Snapshot, name: str) -> bool:
    if snapshot.probes.file(sources_path(name)) is None:
        return False
    try:
        fingerprints((snapshot.probes.file(key_path(name)) or "").encode())
    except NoKey:
        return True
    return False


def add(repository: Repository, key_file: str | None, clashes: Iterable[str] = ()) -> Commands:
    """Key, sources file, and clashing lists out of apt's way.

    + key_file: the key on this machine; None: the host fetches it
    + clashes: the lists of `repository.clashes` that are there
    """
    yield FunctionCommand(_install_key, (repository, key_file), {})
    for path in clashes:
        yield run("mkdir", "-p", ORIGINALS)
        yield run("mv", "-f", path, f"{ORIGINALS}/")
    yield put(repository.sources_path, repository.sources)


def _install_key(state: State, host: Host, repository: Repository, key_file: str | None) -> bool:
    try:
        key = Path(key_file).expanduser().read_bytes() if key_file else _fetch(host, repository)
    except (OSError, ValueError) as error:
        return _refuse(
            host, f"{repository.name}: no key from {key_file or repository.key_url}: {error}"
        )
    refusal = repository.refused_key(key)
    if refusal:
        return _refuse(
            host,
            f"{repository.name}: {refusal} (from {key_file or repository.key_url}); "
            "nothing from this repository was installed",
        )
    command = put(repository.key_path, armor(key))
    arguments = {**connector_arguments(host), **command.connector_arguments}
    done, output = host.run_shell_command(command, **arguments)
    return bool(done) or _refuse(host, f"{repository.key_path}: {output.stderr}")


def _fetch(host: Host, repository: Repository) -> bytes:
    """apt's own downloader: every host has it, and it knows the proxy that apt uses."""
    command = StringCommand(
        "LC_ALL=C timeout -k 5",
        str(FETCH_SECONDS),
        "sh -c",
        QuoteString(
            'd=$(mktemp -d) && cd "$d" && trap \'rm -rf "$d"\' EXIT; '
            '/usr/lib/apt/apt-helper download-file "$1" key >said 2>&1 '
            "&& base64 key || { tail -n 1 said >&2; exit 1; }"
        ),
        "sh",
        QuoteString(repository.key_url),
    )
    done, output = host.run_shell_command(command, **connector_arguments(host))
    if not done:
        raise ValueError(output.stderr or "the download failed")
    text = "".join(output.stdout_lines)
    if len(text) > LARGEST_KEY:
        raise ValueError("far too large for a key")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the download is not whole") from error


def _refuse(host: Host, reason: str) -> bool:
    host.log_styled(reason, fg="red")
    return False
