"""The installed packages, among those that some reader declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# db:Status-Abbrev: "ii" is installed, "hi" is held and installed.
QUERY = r"dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n'"
REQUEST = Request(probes=(ProbeCommand("packages", QUERY, arguments="packages", at_once=True),))


def installed_packages(probes: Probes) -> Mapping[str, str]:
    """Versions of the declared packages that are installed."""
    probe = probes.get("packages")
    if probe.rc is None:
        raise NotRead("dpkg-query timed out")
    return _packages(probe.out)


# Many parsers use the packages of the same snapshot.
@lru_cache(maxsize=4)
def _packages(output: str) -> Mapping[str, str]:
    packages = {}
    for line in output.splitlines():
        status, *rest = line.split("\t")
        if len(rest) == 3 and status[1:2] == "i":
            packages[rest[0]] = rest[1]
    return MappingProxyType(packages)
