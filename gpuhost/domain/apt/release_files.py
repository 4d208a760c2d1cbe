"""The files that apt has fetched: their names, which also decide what apt takes for one archive."""

from __future__ import annotations

import re
from functools import lru_cache

BEFORE_SERVER = re.compile(r"^[a-z+]+:(?://)?(?:[^/@]*@)?")
QUOTED = re.compile(r'[\\|{}\[\]<>"^~_=!@#$%&*]')


# Several checks ask for each archive of a host.
@lru_cache(maxsize=128)
def list_file(uri: str, suite: str) -> str:
    """The name under which apt keeps the InRelease of a suite (apt-pkg's URItoFileName).

    Two definitions with one name are of one archive to apt, over http or https, with or without a
    login: it reads no source at all if their options differ (tried: apt 2.6 and 3.0).

    + suite: "/" for a flat repository
    """
    place = BEFORE_SERVER.sub("", uri.removesuffix("/"))
    quoted = QUOTED.sub(lambda char: f"%{ord(char[0]):02x}", place)
    directory = quoted if suite == "/" else f"{quoted}/dists/{suite}"
    return f"{directory}/InRelease".replace("/", "_")
