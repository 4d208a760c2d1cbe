"""Signed apt archives: Packages, Release, InRelease."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

from tests.lab.packages.deb import Built
from tests.lab.process import run


@dataclass(frozen=True)
class Signer:
    """A key that signs archives.

    + home: GnuPG's folder
    + fingerprint: 40 upper-case hexadecimal digits
    """

    home: Path
    fingerprint: str

    def clear_sign(self, text: str) -> str:
        return self._gpg("--clear-sign", stdin=text.encode())

    def detached(self, text: str) -> str:
        return self._gpg("--armor", "--detach-sign", stdin=text.encode())

    def public_key(self) -> str:
        """The armoured public key."""
        return self._gpg("--armor", "--export", self.fingerprint)

    def _gpg(self, *arguments: str, stdin: bytes = b"") -> str:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--yes"]
        argv += ["--local-user", self.fingerprint, "--digest-algo", "SHA256", *arguments]
        return run(argv, timeout=60, stdin=stdin).stdout


@contextmanager
def signers(keys: Path, *names: str) -> Iterator[dict[str, Signer]]:
    """Signers by name, for the time of one build.

    + keys: folder that keeps the keys, so that a later build signs with the same ones
    """
    # Short: the path of the agent's socket is limited.
    home = Path(tempfile.mkdtemp(prefix="lab-gpg-", dir=os.environ.get("TMPDIR", "/tmp")))
    try:
        yield {name: _signer(home, keys / f"{name}.asc", name) for name in names}
    finally:
        run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], timeout=20, check=False)
        shutil.rmtree(home, ignore_errors=True)


def _signer(home: Path, kept: Path, name: str) -> Signer:
    who = f"gpuhost lab {name} <{name}@localhost>"
    gpg = ["gpg", "--homedir", str(home), "--batch"]
    argv = [*gpg, "--pinentry-mode", "loopback", "--passphrase", ""]
    if kept.exists():
        run([*argv, "--import", str(kept)], timeout=20)
    else:
        run([*argv, "--quick-generate-key", who, "rsa3072", "sign", "never"], timeout=120)
        run([*argv, "--armor", "--output", str(kept), "--export-secret-keys", who], timeout=20)
    listed = run([*gpg, "--with-colons", "--list-keys", who], timeout=20).stdout
    line = next(line for line in listed.splitlines() if line.startswith("fpr:"))
    return Signer(home, line.split(":")[9])


@dataclass(frozen=True)
class Suite:
    """One suite of an archive.

    + root: the archive's folder
    + name: such as "bookworm-updates"; "" for a flat archive
    + packages: by component
    + date: of the Release file
    """

    root: Path
    name: str
    packages: dict[str, Sequence[Built]]
    origin: str = "gpuhost lab"
    label: str = "gpuhost lab"
    codename: str | None = None
    date: datetime | None = None

    def write(self, signer: Signer) -> None:
        """Write the indexes and the signed Release files."""
        where = self.root / "dists" / self.name
        hashes = []
        for component, built in self.packages.items():
            for architecture in ("amd64", "arm64"):
                index = f"{component}/binary-{architecture}/Packages"
                hashes += _write_index(where, index, self._stanzas(built, architecture))
        _sign(where, self._release(hashes), signer)

    def write_flat(self, signer: Signer) -> None:
        """The same, with everything in one folder."""
        built = [package for packages in self.packages.values() for package in packages]
        hashes = _write_index(self.root, "Packages", self._stanzas(built, None))
        _sign(self.root, self._release(hashes), signer)

    def _stanzas(self, packages: Sequence[Built], architecture: str | None) -> str:
        fitting = [
            built
            for built in packages
            if architecture is None or built.package.architecture in (architecture, "all")
        ]
        return "\n".join(built.stanza(self.root) for built in fitting)

    def _release(self, hashes: list[str]) -> str:
        date = format_datetime(self.date or datetime.now(timezone.utc), usegmt=True)
        fields = {"Origin": self.origin, "Label": self.label, "Date": date}
        if self.name:
            fields |= {"Suite": self.name, "Codename": self.codename or self.name}
            fields |= {"Components": " ".join(self.packages)}
        fields |= {"Architectures": "amd64 arm64"}
        head = "".join(f"{name}: {value}\n" for name, value in fields.items())
        return head + "SHA256:\n" + "".join(f" {line}\n" for line in hashes)


def _write_index(where: Path, index: str, text: str) -> list[str]:
    path = where / index
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = text.encode()
    packed = gzip.compress(plain, mtime=0)
    path.write_bytes(plain)
    path.with_name(f"{path.name}.gz").write_bytes(packed)
    return [
        f"{sha256(content).hexdigest()} {len(content)} {name}"
        for name, content in ((index, plain), (f"{index}.gz", packed))
    ]


def _sign(where: Path, release: str, signer: Signer) -> None:
    (where / "Release").write_text(release)
    (where / "InRelease").write_text(signer.clear_sign(release))
    (where / "Release.gpg").write_text(signer.detached(release))
