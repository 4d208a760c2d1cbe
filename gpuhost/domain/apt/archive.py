"""Which definitions are the distribution's own archive, whatever server they come from.

The names of servers are ignored: hosts are installed from mirrors of every name. What counts, in
this order: what the Release file says that apt fetched, the key, the path with the components.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gpuhost.domain.apt.archive_keys import KEYRINGS, keys_of, names_key_of
from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.apt.mirrors import ARCHIVES, Archive
from gpuhost.domain.apt.vendors import Published, archive_of

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
# `Origin` of their Release files; Debian's backports have one of their own.
ORIGINS = {"debian": ("Debian", "Debian Backports"), "ubuntu": ("Ubuntu",)}
LABELS = {"debian": ("Debian", "Debian-Security", "Debian Backports"), "ubuntu": ("Ubuntu",)}
# What only the distributions divide their archives into: other vendors have `main` at most.
_COMPONENTS = {
    "debian": frozenset(["main", "contrib", "non-free", "non-free-firmware"]),
    "ubuntu": frozenset(["main", "restricted", "universe", "multiverse"]),
}
# Suites that follow the releases.
_ALIASES = ("stable", "oldstable", "testing", "unstable", "sid", "devel")
RELEASE_OF_SUITE = re.compile(
    r"(?P<release>[a-z]+)"
    r"(?:[-/](?:updates|security|backports|backports-sloppy|proposed|proposed-updates))?"
)
# Keys that a user gave cloud-init for the archive.
_GIVEN_KEYS = "/etc/apt/cloud-init.gpg.d/"
_LOGIN = re.compile(r"//[^/@]*@")
# Directories above an archive on a mirror; anything else above it is a third party's layout.
_ABOVE = frozenset(
    ["", "pub", "linux", "mirror", "mirrors", "os", "distros", "distributions", "archive"]
)
# Below it: Hetzner has ubuntu/packages and debian/security, snapshots of Debian a time.
_BELOW = re.compile(r"packages|security|\d{8}T\d{6}Z")


@dataclass(frozen=True)
class Distribution:
    """What runs on the host.

    + id: `ID` of os-release; only `debian` and `ubuntu` have archives that are known here.
    + codename: `VERSION_CODENAME`.
    + architecture: dpkg's own; `foreign_architectures`: the others it may install.
    + origins, labels: of the Release file of each archive that apt has fetched already, by its URI
      (`archive_key`).
    + keyrings: fingerprint of the first key in each keyring that a source names, by its path.
    """

    id: str
    codename: str
    architecture: str
    foreign_architectures: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    keyrings: Mapping[str, str] = field(default_factory=dict)

    def published(self, uri: str, entry: Entry) -> Published:
        """What is known of the signed part of a definition's archive."""
        key = archive_key(uri.replace("$(ARCH)", self.architecture))
        signers = keys_of(entry.signed_by or "", self.keyrings)
        return Published(self.origins.get(key, ""), self.labels.get(key, ""), signers)

    @property
    def main_archive(self) -> Archive:
        if self.id == "debian":
            return "debian"
        return "ubuntu" if self.architecture in ("amd64", "i386") else "ubuntu-ports"

    @property
    def security_archive(self) -> Archive:
        return "debian-security" if self.id == "debian" else self.main_archive


def is_security(suite: str) -> bool:
    return suite.endswith(("-security", "/security"))


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
    path = _path_parts(uri)
    if path is None:
        return None
    _, archive, below = path
    return "debian-security" if (archive, below) == ("debian", ["security"]) else archive


def _path_parts(uri: str) -> tuple[list[str], Archive, list[str]] | None:
    """The directories above the archive's own, the archive, and those below it."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return None
    names = parts.path.strip("/").split("/")
    at = next((n for n in reversed(range(len(names))) if names[n] in ARCHIVES), None)
    archive = next((a for a in ARCHIVES if at is not None and a == names[at]), None)
    if at is None or archive is None or not all(map(_BELOW.fullmatch, names[at + 1 :])):
        return None
    return names[:at], archive, names[at + 1 :]


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
        recognised = [
            (uri, entry)
            for path, entry in entries
            for uri in entry.uris
            if self._is_own(path, uri, entry)
        ]
        self._recognised = {entry for _, entry in recognised}
        # A URI with a password is not moved: it should be in /etc/apt/auth.conf.d.
        candidates = [(uri, entry) for uri, entry in recognised if "@" not in uri]
        with_main = {archive_key(uri) for uri, entry in candidates if "main" in entry.components}
        self._keys |= with_main

    def has(self, entry: Entry) -> bool:
        """Whether the definition is of the distribution's own archive, wholly or in part."""
        return any(self.archive(uri, entry) for uri in entry.uris)

    def recognises(self, entry: Entry) -> bool:
        """Whether it is of the distribution's own archive, even with a password in its URI."""
        return entry in self._recognised or self.has(entry)

    def archive(self, uri: str, entry: Entry) -> Archive | None:
        """The archive behind one URI of a definition, if it is the distribution's own."""
        if archive_key(uri) not in self._keys or not all(
            map(RELEASE_OF_SUITE.fullmatch, entry.suites)
        ):
            return None
        listed = self._mirror_lists.get(mirror_list_path(uri) or "", ())
        for location in (uri, *listed):
            if match := archive_at(location):
                return match
        security = all(map(is_security, entry.suites))
        return self._distribution.security_archive if security else self._distribution.main_archive

    def _is_own(self, path: str, uri: str, entry: Entry) -> bool:
        id = self._distribution.id
        if id not in KEYRINGS or not self._suites_fit(entry):
            return False
        known = self._distribution.published(uri, entry)
        if any(archive_of(uri, suite, known) for suite in entry.suites):
            return False
        if known.origin in ORIGINS[id]:
            return known.label in ("", *LABELS[id])
        # A mirror that signs its own Release files has its own Origin, and may keep the Label.
        if known.origin and known.label not in LABELS[id]:
            return False
        if entry.signed_by and names_key_of(id, entry.signed_by, self._distribution.keyrings):
            return True
        return self._location_fits(path, uri, entry)

    def _suites_fit(self, entry: Entry) -> bool:
        releases = [
            match["release"] for s in entry.suites if (match := RELEASE_OF_SUITE.fullmatch(s))
        ]
        # "partner" on archive.canonical.com has the same suites and key.
        if not set(entry.components) <= _COMPONENTS[self._distribution.id]:
            return False
        return any(r in (self._distribution.codename, *_ALIASES) for r in releases)

    def _location_fits(self, path: str, uri: str, entry: Entry) -> bool:
        """Whether the path is its archive's, if neither a known key nor a Release file says so."""
        others = {"main"} < set(entry.components) <= _COMPONENTS[self._distribution.id]
        given = (entry.signed_by or _GIVEN_KEYS).startswith(_GIVEN_KEYS)
        known_file = path in OWN_FILES and given
        if uri.startswith("mirror"):
            listed = self._mirror_lists.get(mirror_list_path(uri) or "", ())
            return (known_file or others) and all(archive_at(location) for location in listed)
        parts = _path_parts(_LOGIN.sub("//", uri))
        if parts is None or not parts[1].startswith(self._distribution.id):
            return False
        return others or (known_file and all(name.lower() in _ABOVE for name in parts[0]))
