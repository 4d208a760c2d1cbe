"""A vendor's apt repository: its URL, the key that signs it, and its files for apt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from gpuhost.domain.apt.openpgp import NoKey, fingerprints
from gpuhost.domain.apt.vendors import Archive
from gpuhost.domain.rendering import render

# Clashing lists are kept here, out of apt's way.
ORIGINALS = "/var/lib/gpuhost/apt/clashing"


def put_aside(path: str) -> str:
    """Where a clashing list is kept."""
    return f"{ORIGINALS}/{PurePosixPath(path).name}"


def sources_path(name: str) -> str:
    return f"/etc/apt/sources.list.d/{name}.sources"


def key_path(name: str) -> str:
    return f"/etc/apt/keyrings/{name}.asc"


@dataclass(frozen=True)
class Repository:
    """One stanza of deb822, and the key that signs it.

    + name: of the files, /etc/apt/sources.list.d/NAME.sources and /etc/apt/keyrings/NAME.asc
    + uri: where the packages are
    + suite: "trixie", or "/" for a flat repository, which has no components
    + architecture: in dpkg's words, "amd64"
    + key_url: where the host fetches the key
    + fingerprint: the only key that is accepted
    + archive: whose it is; other definitions of it clash with this one
    """

    name: str
    uri: str
    suite: str
    component: str
    architecture: str
    key_url: str
    fingerprint: str
    archive: Archive | None = None

    @property
    def sources_path(self) -> str:
        return sources_path(self.name)

    @property
    def key_path(self) -> str:
        return key_path(self.name)

    @property
    def sources(self) -> str:
        """The sources file, whole."""
        return _sources(self)

    def refused_key(self, key: bytes) -> str:
        """Why a key file is not to be trusted; empty if it holds the declared key and no other."""
        try:
            keys = fingerprints(key)
        except NoKey as error:
            return f"the key is not usable: {error}"
        strangers = sorted(set(keys) - {self.fingerprint})
        if strangers:
            return (
                f"the key's fingerprint is {', '.join(strangers)}, "
                f"not the declared {self.fingerprint}"
            )
        return ""


# Each host of a fleet has the same few, and several checks ask for each.
@lru_cache(maxsize=16)
def _sources(repository: Repository) -> str:
    return render("apt/repository.sources.j2", repository=repository)
