"""Everything that a release sends to the host, as one tar: the same bytes for the same release.

It is sent on stdin, because it holds secrets: no argument list, log or journal shows it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gpuhost.release.secrets import GivenSecrets
from gpuhost.runner.plan import Plan

RELEASE = "release"
RUNNER = "runner.pyz"
UNIT = "resume.service"
# A multiple of 3, so that each line is complete base64.
LINE_BYTES = 3 * 16384


@dataclass(frozen=True)
class Bundle:
    """The host compares sha256 before it unpacks anything."""

    content: bytes = field(repr=False)
    sha256: str

    def lines(self) -> list[str]:
        """For `_stdin`, as pieces: pyinfra encodes each one separately."""
        return list(_lines(self.content))

    @property
    def size(self) -> int:
        return len(self.content)


def bundle(
    plan: Plan,
    secrets: GivenSecrets,
    *,
    compose: bytes,
    override: str,
    nginx: str | None,
    archive: bytes | None,
    overlay: bytes | None,
    runner: bytes,
    unit: str,
) -> Bundle:
    """Pack a release.

    + compose: the user's file, byte for byte
    + nginx: None where the app has no site
    + archive: of a local source directory, compressed
    + overlay: of the files to put over the source, compressed
    + runner: the zip application that runs the release
    + unit: the service that resumes an interrupted release at boot
    """
    files = {
        f"{RELEASE}/plan.json": plan.text().encode(),
        f"{RELEASE}/compose.yaml": compose,
        f"{RELEASE}/compose.override.yaml": override.encode(),
        f"{RELEASE}/given.json": secrets.document(),
        RUNNER: runner,
        UNIT: unit.encode(),
    }
    if nginx is not None:
        files[f"{RELEASE}/nginx.conf"] = nginx.encode()
    if archive is not None:
        files[f"{RELEASE}/source.tar.gz"] = archive
    if overlay is not None:
        files[f"{RELEASE}/overlay.tar.gz"] = overlay
    content = _tar(files)
    return Bundle(content, hashlib.sha256(content).hexdigest())


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Not compressed: the source, the largest member, already is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo(RELEASE)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for name, text in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o600
            archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def _lines(content: bytes) -> Iterator[str]:
    view = memoryview(content)
    for start in range(0, len(view), LINE_BYTES):
        yield base64.b64encode(view[start : start + LINE_BYTES]).decode("ascii")
