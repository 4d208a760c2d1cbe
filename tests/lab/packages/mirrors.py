"""Mirrors of Debian's archives: a good one, one that stopped being updated, one that is broken.

The good one passes requests on to this machine's own archives, so that it is complete and
signed by Debian; of the broken one only the Release files can be had.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.lab.packages.archive import Signer, Suite

GOOD = "mirror"
STALE = "stale-mirror"
BROKEN = "broken-mirror"
STALE_DAYS = 60
RELEASE_FILES = ("InRelease", "Release", "Release.gpg")


def suites(release: str) -> dict[str, list[str]]:
    """The suites that a host of a release uses, by archive."""
    return {
        "debian": [release, f"{release}-updates"],
        "debian-security": [f"{release}-security"],
    }


def passed_on(archives: dict[str, str], releases: tuple[str, ...]) -> dict[str, str]:
    """What the server passes on: path prefix to URL.

    + archives: URL of "debian" and "debian-security", with a slash at the end
    """
    found = {f"/{GOOD}/{archive}/": url for archive, url in archives.items()}
    for release in releases:
        for archive, names in suites(release).items():
            for name in names:
                for file in RELEASE_FILES:
                    path = f"dists/{name}/{file}"
                    found[f"/{BROKEN}/{archive}/{path}"] = f"{archives[archive]}{path}"
    return found


def write_stale(www: Path, releases: tuple[str, ...], signer: Signer) -> None:
    """Release files of two months ago; there is nothing to download."""
    date = datetime.now(timezone.utc) - timedelta(days=STALE_DAYS)
    for release in releases:
        for archive, names in suites(release).items():
            for name in names:
                Suite(
                    www / STALE / archive, name, {"main": []}, "Debian", "Debian", name, date
                ).write(signer)
