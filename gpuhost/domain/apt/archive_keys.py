"""The keys that sign the two distributions' own archives, and whether a definition names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from gpuhost.domain.apt.openpgp import BEGIN, NoKey, fingerprints

# Files of the packages debian-archive-keyring and ubuntu-keyring.
KEYRINGS: Mapping[str, str] = {"debian": "debian-archive-", "ubuntu": "ubuntu-archive-"}
PACKAGED = "/usr/share/keyrings"
# Their content in debian-archive-keyring 2025.1 (the releases 11 to 13: archive, security, stable)
# and ubuntu-keyring 2023.11.28 (archive 2012 and 2018; the key of CD images is left out).
FINGERPRINTS: Mapping[str, frozenset[str]] = {
    "debian": frozenset(
        {
            "1F89983E0081FDE018F3CC9673A4F27B8DD47936",
            "AC530D520F2F3269F5E98313A48449044AAD5C5D",
            "A4285295FC7B1A81600062A9605C66F00D6C9793",
            "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
            "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
            "4D64FEC119C2029067D6E791F8D2585B8783D481",
            "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
            "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
            "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
        }
    ),
    "ubuntu": frozenset(
        {"790BC7277767219C42C86F933B4FE6ACC0B21F32", "F6ECB3762474EDA9D21B7022871920D1991BC93C"}
    ),
}


def keys_of(signed_by: str, keyrings: Mapping[str, str]) -> frozenset[str]:
    """Fingerprints of the keys that a Signed-By names, contains, or has in its files.

    + signed_by: as in the definition; several keys are possible
    + keyrings: fingerprint of the first key in each file that was read, by its path
    """
    if BEGIN in signed_by:
        # deb822 writes an empty line as a dot.
        text = "\n".join("" if line == "." else line for line in signed_by.splitlines())
        try:
            return frozenset(fingerprints(text.encode()))
        except NoKey:
            return frozenset()
    words = [word.rstrip("!") for word in signed_by.replace(",", " ").split()]
    return frozenset(keyrings.get(word, word.upper()) for word in words)


def names_key_of(distribution: str, signed_by: str, keyrings: Mapping[str, str]) -> bool:
    """Whether a Signed-By names a key of the distribution. A file is judged by the key in it; by
    its name if it was not read, or is the package's own with a key that is not known here yet.

    + distribution: "debian" or "ubuntu"
    """
    if not FINGERPRINTS.get(distribution, frozenset()).isdisjoint(keys_of(signed_by, keyrings)):
        return True
    prefix = KEYRINGS.get(distribution)
    paths = [PurePosixPath(word) for word in signed_by.replace(",", " ").split()]
    return any(
        prefix is not None
        and path.name.startswith(prefix)
        and (str(path) not in keyrings or str(path.parent) == PACKAGED)
        for path in paths
    )
