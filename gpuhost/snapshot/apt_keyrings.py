"""The keys in the keyrings that apt's sources name: of each file the first."""

from __future__ import annotations

import base64
import re
from shlex import quote

from gpuhost.domain.apt.archive import LIST
from gpuhost.domain.apt.openpgp import first_fingerprint
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# A key of 4096 bits has 525 bytes, a third more with armor. Keyrings only: what else a source may
# name as one is not read. The names of files stand before their beginnings, as head writes them.
BEGINNINGS = (
    "sed -nsE 's@^[^#]*[Ss]igned-[Bb]y[=:][[:blank:]]*(/(etc/apt|usr(/local)?/share)"
    r"/[a-z.-]*(keyrings|gpg\.d)/[^],[:blank:]/]+).*@\1@p'"
    f" {LIST} {LIST}.d/*.list {LIST}.d/*.sources 2>/dev/null"
    " | sort -u | head -n 16 | xargs -r head -v -c 900 | base64 -w 0"
)
NAME = re.compile(rb"(?:\A|\n)==> (/[\x21-\x7e]+) <==\n")
REQUEST = Request(
    probes=(ProbeCommand("apt_keyrings", f"sh -c {quote(BEGINNINGS)}", at_once=True),)
)


def read_keyrings(probes: Probes) -> dict[str, str]:
    """Fingerprint of the first key of each file, by its path. What cannot be read is left out: the
    other signs of whose archive it is remain.
    """
    try:
        listing = base64.b64decode(probes.get("apt_keyrings").out, validate=True)
    except ValueError:
        return {}
    _, *parts = NAME.split(listing)
    found = zip(parts[::2], parts[1::2], strict=True)
    keys = ((path.decode("ascii"), first_fingerprint(beginning)) for path, beginning in found)
    return {path: key for path, key in keys if key}
