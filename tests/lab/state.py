"""Where the lab keeps things between commands: one folder, one JSON file per lab."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.process import LabError, is_alive

SCHEMA = 2


def folder() -> Path:
    """``$XDG_CACHE_HOME/gpuhost-lab``, or ``~/.cache/gpuhost-lab``."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    path = Path(cache) / "gpuhost-lab"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def lab_name() -> str:
    """The name of this lab, ``GPUHOST_LAB`` or "lab": labs of different names share an engine."""
    name = os.environ.get("GPUHOST_LAB") or "lab"
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
        raise LabError(f"GPUHOST_LAB={name!r}: use lower-case letters, digits and hyphens")
    return name


def cache_id() -> str:
    """An id of the state folder: labs of several folders can use one engine."""
    return hashlib.sha256(str(folder()).encode()).hexdigest()[:6]


@contextmanager
def locked(name: str, *, where: Path | None = None) -> Iterator[None]:
    """A lock for one process at a time; the kernel frees it when its holder ends.

    + where: the folder of the lock; None: the state folder
    """
    with ((where or folder()) / f"gpuhost-lab-{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class RepositoryState:
    """The base URL of the lab's apt repositories, and the fingerprints of their keys.

    Fingerprints are 40 upper-case digits.
    """

    base: str
    docker_key_fingerprint: str
    toolkit_key_fingerprint: str
    nvidia_key_fingerprint: str


@dataclass(frozen=True)
class HostState:
    """One booted host, with everything that a connection needs."""

    name: str
    release: str
    card: str | None
    container: str
    address: str
    port: int
    user: str
    key: str
    known_hosts: str
    swap_path: str


@dataclass(frozen=True)
class LabState:
    """The state of a lab: written by `up` and `down`, read by the inventory."""

    lab: str
    engine: str
    owner: str | None
    repository: RepositoryState
    hosts: tuple[HostState, ...] = field(default=())

    def save(self) -> None:
        path = path_of(self.lab)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n")
        beside.replace(path)


def path_of(lab: str) -> Path:
    """The state file of a lab."""
    return folder() / f"{lab}.json"


def known_hosts_of(lab: str) -> Path:
    """Where the keys of a lab's hosts are recorded."""
    return folder() / f"{lab}.known_hosts"


def forget(lab: str) -> None:
    """Remove the files of a lab in the state folder."""
    path_of(lab).unlink(missing_ok=True)
    known_hosts_of(lab).unlink(missing_ok=True)


def forget_abandoned() -> None:
    """Remove the files of labs whose owner has ended."""
    for path in folder().glob("*.json"):
        kept = load(path.stem)
        if kept and kept.owner and not is_alive(kept.owner):
            forget(kept.lab)


def load(lab: str) -> LabState | None:
    """The state that `up` saved; None if no lab is up."""
    path = path_of(lab)
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    if data.pop("schema", None) != SCHEMA:
        return None
    return LabState(
        lab=data["lab"],
        engine=data["engine"],
        owner=data["owner"],
        repository=RepositoryState(**data["repository"]),
        hosts=tuple(HostState(**host) for host in data["hosts"]),
    )
