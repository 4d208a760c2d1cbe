"""Operations on vendors' apt repositories: a key is verified before apt can use it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from pyinfra import host as this_host
from pyinfra.api import FunctionCommand, QuoteString, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.domain.apt.clashes import aside, conflicting, mark, rest, written
from gpuhost.domain.apt.conflicts import Definition, malformed
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.openpgp import NoKey, armor, fingerprints
from gpuhost.domain.apt.record import RECORD
from gpuhost.domain.apt.repository import ORIGINALS, Repository, key_path, sources_path
from gpuhost.domain.apt.repository import put_aside as aside_path
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import ChangeRefused, tell
from gpuhost.plans.apt_archives import SPLIT, clashing, put_aside, shared
from gpuhost.plans.docker_packages import NAME as DOCKER
from gpuhost.plans.nvidia_repository import NAME as NVIDIA
from gpuhost.plans.toolkit_packages import NAME as TOOLKIT
from gpuhost.remote.commands import last_line, put, remove, run, run_on
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NAMES = (DOCKER, TOOLKIT, NVIDIA)
FETCH_SECONDS = 120
LARGEST_KEY = 1 << 20


@operation
def drop_broken(adopt: bool = False) -> Commands:
    """
    Remove repositories that gpuhost added and whose file or key is damaged, and put aside other
    definitions of them with another key: with one of either, every apt command fails. Where such a
    definition has other archives too, gpuhost's own is removed instead, without `adopt`. The
    operation that needs a removed repository adds it again.

    + adopt: put aside also a definition that has other archives

    **Example:**

    .. code:: python

        from gpuhost.operations import repository
        repository.drop_broken(name="Broken repositories")
    """
    snapshot = read(Settings())
    broken = [name for name in NAMES if _is_broken(snapshot, name)]
    files, version = snapshot.apt.sources.files, snapshot.apt.version
    architecture = snapshot.system.architecture
    others = {name: conflicting(files, name, architecture, version) for name in NAMES}
    if not broken and not any(others.values()):
        this_host.noop("every repository has its key")
    for name in broken:
        yield remove(sources_path(name))
    for name, theirs in others.items():
        ours = written(files, name, architecture)
        mixed = [each for each in theirs if ours and rest(each, ours)]
        if mixed and not adopt:
            # apt works again, and the operation that adds it refuses to, with the reason.
            tell(name, f"removes {sources_path(name)}: apt refuses it beside {mixed[0]}")
            yield remove(sources_path(name))
        else:
            yield from _put_aside(snapshot, name, theirs)


def _is_broken(snapshot: Snapshot, name: str) -> bool:
    text = snapshot.probes.file(sources_path(name))
    if text is None:
        return False
    if malformed([SourceFile(sources_path(name), text)]):
        return True
    try:
        fingerprints((snapshot.probes.file(key_path(name)) or "").encode())
    except NoKey:
        return True
    return False


def add(
    repository: Repository, snapshot: Snapshot, key_file: str | None = None, *, adopt: bool
) -> Commands:
    """Install the key and the sources file, and put clashing definitions aside.

    + key_file: the key as a file on this machine; None: the host downloads it
    + adopt: also those that have more than this archive; without it, raises ChangeRefused
    """
    if not adopt and (mixed := shared(snapshot, repository)):
        raise ChangeRefused(
            f"{repository.sources_path} cannot be added beside another definition of its archive, "
            f"and {mixed}: {SPLIT}"
        )
    yield FunctionCommand(_install_key, (repository, key_file), {})
    yield from _put_aside(snapshot, repository.name, clashing(snapshot, repository))
    yield put(repository.sources_path, repository.sources)


def delete(repository: Repository, snapshot: Snapshot, *others: str) -> Commands:
    """Remove the sources file and the key, and restore what was put aside for them.

    + others: more files to remove
    """
    yield remove(repository.sources_path, repository.key_path, *others)
    for path in put_aside(snapshot, repository):
        yield run("mv", "-f", aside_path(path), path)
    marked = mark(repository.name)
    for file in snapshot.apt.sources.files:
        if f"\n{marked}" in f"\n{file.content}":
            yield run("sed", "--follow-symlinks", "-i", f"s|^{marked}||", file.path)


def _put_aside(snapshot: Snapshot, name: str, theirs: list[Definition]) -> Commands:
    change = aside(snapshot.apt.sources, name, theirs)
    if theirs:
        places = ", ".join(map(str, theirs))
        tell(name, f"puts {places} aside: {sources_path(name)} has its archive")
    if change.moved:
        yield run("mkdir", "-p", ORIGINALS)
        yield run("mv", "-f", "--", *change.moved, f"{ORIGINALS}/")
    for path, lines in change.edited.items():
        edits = "; ".join(f"{first},{last}s|^|{mark(name)}|" for first, last in lines)
        yield run("sed", "--follow-symlinks", "-i", edits, path)
    if change.record:
        yield put(RECORD, change.record.to_json())


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
            "&& echo && base64 -w 0 key || { tail -n 1 said >&2; exit 1; }"
        ),
        "sh",
        QuoteString(repository.key_url),
    )
    done, output = run_on(host, command)
    if not done:
        raise ValueError(output.stderr or "the download failed")
    text = last_line(output)
    if len(text) > LARGEST_KEY:
        raise ValueError("too large for a key")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the download is incomplete") from error


def _fail(host: Host, reason: str) -> bool:
    host.log_styled(reason, fg="red")
    return False
