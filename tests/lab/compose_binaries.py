"""Real Compose binaries, from Debian's packages: `config` needs no engine.

The package lists of a release are read from the archive of this machine's apt, into folders of the
lab: the machine's own apt is not changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.images import archives
from tests.lab.process import LabError, progress, run
from tests.lab.state import folder, locked

# Debian 13's (2.26 at the time of writing), and the newest that Debian has.
RELEASES = ("trixie", "sid")
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def ensure() -> dict[str, Path]:
    """The binary of each release, from the cache or the archive. They are not refreshed."""
    with locked("compose"):
        return {release: _binary(release) for release in RELEASES}


def _binary(release: str) -> Path:
    kept = folder() / "compose" / release
    if not (kept / PLUGIN).exists():
        progress(f"fetching docker-compose of Debian {release}")
        part = kept.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "lists" / "partial").mkdir(parents=True)
        run(["dpkg-deb", "-x", str(_package(release, part)), str(part / "root")], timeout=120)
        shutil.rmtree(kept, ignore_errors=True)
        (part / "root").rename(kept)
        shutil.rmtree(part)
    return kept / PLUGIN


def _package(release: str, scratch: Path) -> Path:
    """Download the package; apt verifies the archive's signature and the package's hash."""
    lines = archives(release)
    if not lines:
        raise LabError("Compose binaries: the apt of this machine lists no Debian archive")
    sources = scratch / "sources.list"
    signed_by = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    sources.write_text(lines[0].replace("deb ", f"deb {signed_by}", 1) + "\n")
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(word for k, v in options.items() for word in ("-o", f"{k}={v}"))]
    run([*apt, "update"], timeout=600)
    inside = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(scratch)]
    run([*inside, *apt, "download", "docker-compose"], timeout=600)
    return next(scratch.glob("docker-compose_*.deb"))
