"""Which definitions are the distribution's own archive, whatever server they come from.

The server's name is ignored: hosts are installed from mirrors of every name. What counts is
the key that signs the archive, its path, its suites and its components.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.apt.mirrors import ARCHIVES, Archive

LIST = "/etc/apt/sources.list"
# What the installers and images of the two distributions write.
OWN_FILES = frozenset(
    [
        LIST,
        "/etc/apt/sources.list.d/debian.sources",
        "/etc/apt/sources.list.d/debian.list",
        "/etc/apt/sources.list.d/ubuntu.sources",
        "/etc/apt/sources.list.d/ubuntu.list",
    ]
)
_KEYRINGS = {"debian": "debian-archive-", "ubuntu": "ubuntu-archive-"}
_ORIGINS = {"debian": "Debian", "ubuntu": "Ubuntu"}
# Suites that follow the releases.
_ALIASES = ("stable", "oldstable", "testing", "unstable", "sid", "devel")
_SUITE = re.compile(
    r"(?P<release>[a-z]+)"
    r"(?:-(?:updates|security|backports|backports-sloppy|proposed|proposed-updates))?"
)
# Directories above an archive on a mirror; anything else above it is a third party's layout.
_ABOVE = frozenset(["", "pub", "linux", "mirror", "mirrors", "os", "distros", "distributions"])


@dataclass(frozen=True)
class Distribution:
    """What runs on the host.

    + id: `ID` of os-release; only `debian` and `ubuntu` have archives that are known here.
    + codename: `VERSION_CODENAME`.
    + architecture: dpkg's own; `foreign_architectures`: the others it may install.
    + origins: `Origin` of each archive that apt has fetched already, by its URI (`archive_key`).
    """

    id: str
    codename: str
    architecture: str
    foreign_architectures: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def main_archive(self) -> Archive:
        if self.id == "debian":
            return "debian"
        return "ubuntu" if self.architecture in ("amd64", "i386") else "ubuntu-ports"

    @property
    def security_archive(self) -> Archive:
        return "debian-security" if self.id == "debian" else self.main_archive


def is_security(suite: str) -> bool:
    return suite.endswith("-security")


def mirror_list_path(uri: str) -> str | None:
    """The file behind `mirror+file:`, as Debian's cloud images use it (apt-transport-mirror(1))."""
    match = re.fullmatch(r"mirror\+file:(?://)?(/[^\s?#]+)", uri)
    return match[1] if match else None


def archive_key(uri: str) -> str:
    """One text for the different spellings of one archive's URI; http and https are one archive."""
    return re.sub(r"^https?://", "//", uri.rstrip("/")).lower()


def archive_at(uri: str) -> Archive | None:
    """The archive that a URI's path names; None for other schemes, paths and for a URI that carries
    a password (gpuhost does not move it: it should be in /etc/apt/auth.conf.d)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return None
    last = PurePosixPath(parts.path).name
    return next((archive for archive in ARCHIVES if archive == last), None)


class OwnArchives:
    """The distribution's archives among all the definitions that a host has.

    + entries: every active definition with the path of its file.
    + mirror_lists: what the files behind `mirror+file:` list, by path.
    """

    def __init__(
        self,
        entries: Iterable[tuple[str, Entry]],
        mirror_lists: Mapping[str, tuple[str, ...]],
        distribution: Distribution,
        known: Iterable[str] = (),
    ) -> None:
        self._distribution = distribution
        self._mirror_lists = mirror_lists
        self._keys = {archive_key(uri) for uri in known}
        candidates = [
            (uri, entry)
            for path, entry in entries
            if self._may_be_own(path, entry)
            for uri in entry.uris
            if self._looks_own(uri, entry)
        ]
        with_main = {archive_key(uri) for uri, entry in candidates if "main" in entry.components}
        self._keys |= with_main

    def has(self, entry: Entry) -> bool:
        """Whether the definition is of the distribution's own archive, wholly or in part."""
        return self._signed_by_distribution(entry) is not False and any(
            self.archive(uri, entry) for uri in entry.uris
        )

    def archive(self, uri: str, entry: Entry) -> Archive | None:
        """The archive behind one URI of a definition, if it is the distribution's own."""
        if archive_key(uri) not in self._keys or not all(map(_SUITE.fullmatch, entry.suites)):
            return None
        listed = self._mirror_lists.get(mirror_list_path(uri) or "", ())
        for location in (uri, *listed):
            if match := archive_at(location):
                return match
        security = all(map(is_security, entry.suites))
        return self._distribution.security_archive if security else self._distribution.main_archive

    def _may_be_own(self, path: str, entry: Entry) -> bool:
        if self._distribution.id not in _KEYRINGS:
            return False
        signed = self._signed_by_distribution(entry)
        return signed is True or (signed is None and path in OWN_FILES)

    def _signed_by_distribution(self, entry: Entry) -> bool | None:
        """None: the definition names no key."""
        if entry.signed_by is None:
            return None
        prefix = _KEYRINGS.get(self._distribution.id)
        return prefix is not None and PurePosixPath(entry.signed_by).name.startswith(prefix)

    def _looks_own(self, uri: str, entry: Entry) -> bool:
        origin = self._distribution.origins.get(archive_key(uri))
        if origin is not None and origin != _ORIGINS[self._distribution.id]:
            return False
        return self._suites_fit(entry) and self._location_fits(uri, entry)

    def _suites_fit(self, entry: Entry) -> bool:
        releases = [match["release"] for s in entry.suites if (match := _SUITE.fullmatch(s))]
        return any(r in (self._distribution.codename, *_ALIASES) for r in releases)

    def _location_fits(self, uri: str, entry: Entry) -> bool:
        if uri.startswith("mirror"):
            listed = self._mirror_lists.get(mirror_list_path(uri) or "", ())
            return bool(entry.signed_by) or all(archive_at(location) for location in listed)
        archive = archive_at(uri)
        if archive is None or not archive.startswith(self._distribution.id):
            return False
        above = urlsplit(uri).path.strip("/").lower().split("/")[:-1]
        return bool(entry.signed_by) or all(name in _ABOVE for name in above)
