"""The installer's medium: the distribution's own archive, and gone since."""

from __future__ import annotations

import pytest

from gpuhost.plans.apt_archives import optional_archives
from tests.apt.test_owners import snapshot_of


@pytest.mark.parametrize(
    ("uri", "is_optional"),
    [
        ("file:/cdrom", True),
        ("file:///cdrom", True),
        ("file:/media/cdrom0/", True),
        ("file:/media/apt", True),
        ("file:/srv/cdrom", False),
        ("file:/cdroms/ubuntu", False),
    ],
)
def test_an_installation_needs_no_medium_of_the_installer(uri: str, is_optional: bool) -> None:
    """Ubuntu's installers leave theirs, signed as the archive is (omakub#190)."""
    text = (
        f"Types: deb\nURIs: {uri}\nSuites: noble\nComponents: main restricted\n"
        "Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n"
    )
    files = {"/etc/apt/sources.list.d/cdrom.sources": text}
    snapshot = snapshot_of({"host": "ubuntu noble", "files": files})
    assert optional_archives(snapshot) == ((uri.rstrip("/"),) if is_optional else ())
