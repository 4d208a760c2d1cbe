"""Operations on vendors' apt repositories: a key is verified before apt can use it."""

from __future__ import annotations

import base64
import binascii
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
from gpuhost.remote.commands import put, remove, run, run_on
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

FETCH_SECONDS = 120
LARGEST_KEY = 1 << 20


@operation
def drop_broken(settings: Settings | None = None) -> Commands:
    """
    Remove repositories that gpuhost added and whose key is missing or damaged: with one of them,
    every `apt-get update` fails. The operation that needs the repository adds it again.

    + settings: the settings with which the deploy has read this host, to avoid a second reading

    **Example:**

    .. code:: python

        from gpuhost.operations import repository
        repository.drop_broken(name="Broken repositories")
    """
    snapshot = read(settings or Settings())
    broken = [name for name in (DOCKER, TOOLKIT, NVIDIA) if _is_broken(snapshot, name)]
    if not broken:
        this_host.noop("every repository has its key")
    for name in broken:
        yield remove(sources_path(name))


def _is_broken(snapshot: Snapshot, name: str) -> bool:
    if snapshot.probes.file(sources_path(name)) is None:
        return False
    try:
        fingerprints((snapshot.probes.file(key_path(name)) or "").encode())
    except NoKey:
        return True
    return False


def add(repository: Repository, snapshot: Snapshot, key_file: str | None = None) -> Commands:
    """Install the key and the sources file, and move clashing sources files aside.

    + key_file: the key as a file on this machine; None: the host downloads it
    """
    yield FunctionCommand(_install_key, (repository, key_file), {})
    for path in repository.clashes:
        if snapshot.paths.get(path):
            yield run("mkdir", "-p", ORIGINALS)
            yield run("mv", "-f", path, f"{ORIGINALS}/")
    yield put(repository.sources_path, repository.sources)


def _install_key(state: State, host: Host, repository: Repository, key_file: str | None) -> bool:
    origin = key_file or repository.key_url
    try:
        key = Path(key_file).expanduser().read_bytes() if key_file else _download(host, repository)
    except (OSError, ValueError) as error:
        return _fail(host, f"{repository.name}: no key from {origin}: {error}")
    if refusal := repository.refused_key(key):
        return _fail(
            host,
            f"{repository.name}: {refusal} (from {origin}); "
            "nothing from this repository was installed",
        )
    done, output = run_on(host, put(repository.key_path, armor(key)))
    return bool(done) or _fail(host, f"{repository.key_path}: {output.stderr}")


def _download(host: Host, repository: Repository) -> bytes:
    """By apt's own downloader: every host has it, and it uses apt's proxy."""
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
    done, output = run_on(host, command)
    if not done:
        raise ValueError(output.stderr or "the download failed")
    text = "".join(output.stdout_lines)
    if len(text) > LARGEST_KEY:
        raise ValueError("too large for a key")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the download is incomplete") from error


def _fail(host: Host, reason: str) -> bool:
    host.log_styled(reason, fg="red")
    return False
