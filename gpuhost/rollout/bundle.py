"""Everything that goes to the host with a release, as one tar: the same bytes for the same release.

It travels on stdin, because it holds secrets: no argument list, log or journal shows it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gpuhost.release.secrets import Given
from gpuhost.runner.plan import Plan

RELEASE = "release"
RUNNER = "runner.pyz"
UNIT = "resume.service"
# Multiples of 3, so that each line is whole by itself.
LINE_BYTES = 3 * 16384


@dataclass(frozen=True)
class Bundle:
    """sha256 tells the host whether all of it arrived; a cut one is not unpacked."""

    content: bytes = field(repr=False)
    sha256: str

    def lines(self) -> list[str]:
        """For `_stdin`, in pieces: pyinfra encodes each by itself."""
        return list(_lines(self.content))

    @property
    def size(self) -> int:
        return len(self.content)


def bundle(
    plan: Plan,
    given: Given,
    *,
    compose: bytes,
    override: str,
    nginx: str | None,
    archive: bytes | None,
    runner: bytes,
    unit: str,
) -> Bundle:
    """Pack a release.

    + compose: the user's file, byte for byte
    + nginx: None where the app has no site
    + archive: of a local source directory, compressed
    + runner: the zip application that carries the release out
    + unit: the service that takes up at boot what was cut off
    """
    texts = {
        f"{RELEASE}/plan.json": plan.text().encode(),
        f"{RELEASE}/compose.yaml": compose,
        f"{RELEASE}/compose.override.yaml": override.encode(),
        f"{RELEASE}/given.json": given.document(),
        RUNNER: runner,
        UNIT: unit.encode(),
    }
    if nginx is not None:
        texts[f"{RELEASE}/nginx.conf"] = nginx.encode()
    if archive is not None:
        texts[f"{RELEASE}/source.tar.gz"] = archive
    content = _tar(texts)
    return Bundle(content, hashlib.sha256(content).hexdigest())


def _tar(texts: Mapping[str, bytes]) -> bytes:
    """Not compressed: what is large in it, the source and the runner, is already."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo(RELEASE)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for name, text in sorted(texts.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o600
            archive.addfile(member, io.BytesIO(text))
    return made.getvalue()


def _lines(content: bytes) -> Iterator[str]:
    view = memoryview(content)
    for start in range(0, len(view), LINE_BYTES):
        yield base64.b64encode(view[start : start + LINE_BYTES]).decode("ascii")
