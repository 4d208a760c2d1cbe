"""Base images under the tags that upstream's Dockerfiles name, made from Debian's packages."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from tests.apps.base_image import Root, load_root
from tests.lab.hosts import LabHost
from tests.upstream.registries import Registries

FILES = Path(__file__).with_name("files")
PLAIN = Root("upstream/debian", ("ca-certificates", "netbase", "tzdata"))
PYTHON = Root(
    "upstream/python",
    (*PLAIN.included, "python3", "python3-pip", "python3-venv", "python-is-python3"),
)
# This machine's Node: the program, npm, and the headers for modules that are compiled.
NODE = {
    "/usr/bin/node": "usr/local/bin/node",
    "/usr/lib/node_modules/npm": "usr/local/lib/node_modules/npm",
    "/usr/include/node": "usr/local/include/node",
}
NODE_LINKS = {
    "usr/local/bin/npm": "../lib/node_modules/npm/bin/npm-cli.js",
    "usr/local/bin/npx": "../lib/node_modules/npm/bin/npx-cli.js",
}


@dataclass(frozen=True)
class Base:
    """A base image.

    + tag: the one of a Dockerfile
    + root: Debian's packages in it
    + node: with this machine's Node
    + files: of tests/upstream/files, by their path in the image; they are executable
    + environment: of the image, besides the registries
    + instructions: more lines of its Dockerfile
    + about: what it is, for the table
    """

    tag: str
    root: Root
    about: str
    node: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    instructions: tuple[str, ...] = ()


def python(tag: str) -> Base:
    """python:TAG, with Debian 12's Python 3.11 whatever the tag says."""
    # As in the official image: pip may write into the system.
    remove = "RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED"
    link = "RUN cd /usr/local/bin && ln -s /usr/bin/python3 /usr/bin/pip* . && ln -s python3 python"
    return Base(f"python:{tag}", PYTHON, "Debian 12 with Python 3.11", instructions=(remove, link))


def load(host: LabHost, base: Base, registries: Registries) -> None:
    """Build a base image on the host."""
    load_root(host, base.root)
    host.run(f"docker build -q -t {base.tag} -", stdin=_context(base, registries), timeout=600)


def context(files: Mapping[str, bytes]) -> bytes:
    """A build context of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            _add(tar, name, content)
    return stream.getvalue()


def _context(base: Base, registries: Registries) -> bytes:
    stream = io.BytesIO()
    # Docker mistakes a tar with newer headers for a Dockerfile.
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, "Dockerfile", _dockerfile(base, registries).encode())
        for path, content in registries.files.items():
            _add(tar, f"root{path}", content)
        for path, name in base.files.items():
            _add(tar, f"root{path}", (FILES / name).read_bytes(), mode=0o755)
        if base.node:
            _add_node(tar)
    return stream.getvalue()


def _add_node(tar: tarfile.TarFile) -> None:
    for source, target in NODE.items():
        tar.add(Path(source).resolve(), arcname=f"root/{target}")
    for name, target in NODE_LINKS.items():
        link = tarfile.TarInfo(f"root/{name}")
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _dockerfile(base: Base, registries: Registries) -> str:
    environment = {**registries.environment, **base.environment}
    set_here = [f"ENV {name}={quote(value)}" for name, value in environment.items()]
    lines = [f"FROM {base.root.name}", "COPY root/ /", *set_here, *base.instructions]
    return "\n".join(lines) + "\n"
