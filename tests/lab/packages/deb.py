"""Binary packages, made from files and a few control fields."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.lab.process import run


@dataclass(frozen=True)
class Content:
    """A file of a package.

    + source: a file to copy, or the bytes
    """

    source: Path | bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Package:
    """One binary package.

    + fields: further control fields, such as Depends
    + files: by absolute path
    + links: symbolic links, path to target
    + scripts: maintainer scripts by name ("postinst")
    """

    name: str
    version: str
    architecture: str = "amd64"
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Content] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """As repositories name it; the epoch is not part of it."""
        return f"{self.name}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"

    def control(self) -> str:
        """The control file."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "gpuhost lab <lab@localhost>",
            "Section": "admin",
            "Priority": "optional",
            **self.fields,
            "Description": f"stand-in of {self.name} for tests",
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())

    def build(self, folder: Path) -> Built:
        """Write the .deb into a folder."""
        target = folder / self.file_name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            root.chmod(0o755)
            for path, content in self.files.items():
                _write(root / path.lstrip("/"), content)
            for path, aim in self.links.items():
                link = root / path.lstrip("/")
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(aim)
            _write(root / "DEBIAN/control", Content(self.control().encode()))
            for name, script in self.scripts.items():
                _write(root / "DEBIAN" / name, Content(script.encode(), 0o755))
            etc = [path for path in self.files if path.startswith("/etc/")]
            if etc:
                lines = "".join(f"{path}\n" for path in etc)
                _write(root / "DEBIAN/conffiles", Content(lines.encode()))
            argv = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "--build", scratch]
            run([*argv, str(target)], timeout=300)
        return Built(self, target)


@dataclass(frozen=True)
class Built:
    """A package and where its .deb lies."""

    package: Package
    path: Path

    def stanza(self, root: Path) -> str:
        """Its paragraph in a Packages file whose paths begin at ``root``."""
        content = self.path.read_bytes()
        return (
            self.package.control()
            + f"Filename: {self.path.relative_to(root)}\n"
            + f"Size: {len(content)}\n"
            + f"SHA256: {sha256(content).hexdigest()}\n"
        )


def unpack(deb: Path, folder: Path) -> Path:
    """The files of a .deb, under a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "-x", str(deb), str(folder)], timeout=300)
    return folder


def _write(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content.source, bytes):
        path.write_bytes(content.source)
    else:
        shutil.copyfile(content.source, path)
    path.chmod(content.mode)
