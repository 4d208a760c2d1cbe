"""The base images of stand-ins and the images that apps pull, from Debian's packages, cached."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images
from tests.lab.hosts import LabHost
from tests.lab.process import need, progress, run
from tests.lab.state import folder, locked

RELEASE = "bookworm"
# Manuals and translations are half of the size.
SLIM = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
)


@dataclass(frozen=True)
class Root:
    """A root file system, imported as an image.

    + included: Debian's packages
    + slim: lines of dpkg's configuration that leave files out
    """

    name: str
    included: tuple[str, ...]
    slim: tuple[str, ...] = SLIM

    @property
    def recipe(self) -> str:
        lines = "\n".join((RELEASE, *self.included, *self.slim))
        return hashlib.sha256(lines.encode()).hexdigest()[:12]


PYTHON = Root("stand-in/python", ("python3", "curl", "ca-certificates"))
# Servers, and their Python clients, for stand-ins that need more than Python.
SERVICES = Root(
    "stand-in/services",
    (
        *PYTHON.included,
        "python-is-python3",
        "python3-celery",
        "python3-redis",
        "python3-psycopg2",
        "redis-server",
        "postgresql-15",
        "nginx-light",
    ),
    # PostgreSQL's query compiler is larger than everything else.
    (*SLIM, "path-exclude=/usr/lib/*/libLLVM*", "path-exclude=/usr/lib/postgresql/*/lib/bitcode/*"),
)
# The images that the app files pull, by name; each is a directory in images/.
PULLED = {
    "redis:7-alpine": "redis",
    "redis:8-alpine": "redis",
    "postgres:15-alpine": "postgres",
    "nginx:1.28-alpine": "nginx",
    "rachelos/we-mp-rss:latest": "we-mp-rss",
}


def load(host: LabHost) -> None:
    """Load the smallest base image into a host's engine."""
    load_root(host, PYTHON)


def load_services(host: LabHost) -> None:
    """Load the base image with servers, and the images that the app files pull."""
    load_root(host, SERVICES)
    for name, directory in PULLED.items():
        context = _context(Path(__file__).parent / "images" / directory)
        host.run(f"docker build -q -t {name} -", stdin=context, timeout=180)


def load_root(host: LabHost, root: Root) -> None:
    if host.run(f"docker image inspect {root.name}", check=False).status == 0:
        return
    host.run(f"docker import - {root.name}", stdin=_tar(root).read_bytes(), timeout=300)


def _context(directory: Path) -> bytes:
    stream = io.BytesIO()
    # Docker mistakes a tar with newer headers for a Dockerfile.
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(directory, arcname=".")
    return stream.getvalue()


def _tar(root: Root) -> Path:
    tar = folder() / "images" / f"{root.name.replace('/', '-')}-{root.recipe}.tar.gz"
    with locked("stand-in"):
        if not tar.exists():
            _build(root, tar)
    return tar


def _build(root: Root, tar: Path) -> None:
    need("mmdebstrap")
    progress(f"building the image {root.name} (a minute or two)")
    tar.parent.mkdir(parents=True, exist_ok=True)
    beside = tar.with_name(f"part-{tar.name}")
    options = [f"--dpkgopt={line}" for line in root.slim]
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(root.included)}", *options]
    run([*argv, RELEASE, str(beside), *images.archives(RELEASE)], timeout=1200)
    beside.replace(tar)
