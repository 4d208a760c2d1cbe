"""The installed packages, among those that some reader declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from gpuhost.snapshot.paths import state_in
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# db:Status-Abbrev: "ii" is installed, "hi" is held and installed.
QUERY = r"dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n'"
DATABASE = "/var/lib/dpkg/status"
MISSING = f"{DATABASE}: No such file or directory"
# dpkg-query(1): 1 if a package was not found, 2 if the database could not be read.
UNREADABLE = 2
REQUEST = Request(
    plain=(DATABASE,),
    probes=(ProbeCommand("packages", QUERY, arguments="packages", at_once=True),),
)


def installed_packages(probes: Probes) -> Mapping[str, str]:
    """Versions of the declared packages that are installed.

    Raises NotRead if dpkg does not know: then none is "not installed".
    """
    probe = probes.get("packages")
    if probe.rc is None:
        raise NotRead("dpkg-query timed out")
    if complaint := database_complaint(probes):
        raise NotRead(complaint)
    return _packages(probe.out)


def database_complaint(probes: Probes) -> str:
    """Why dpkg does not know which packages are installed; "": it does."""
    probe = probes.get("packages")
    if probe.rc == UNREADABLE:
        return f"dpkg cannot read its database: {probe.complaint}"
    # dpkg-query itself only says that it finds no package (dpkg 1.21.22).
    if "dpkg_unfinished" in probes and MISSING in probes.get("dpkg_unfinished").err:
        return f"there is no {DATABASE}, dpkg's database"
    database = state_in(probes.get("paths").out if "paths" in probes else "", DATABASE)
    # As a power failure leaves it: dpkg then knows no package.
    return f"dpkg's database, {DATABASE}, is empty" if database and not database.size else ""


# Many parsers use the packages of the same snapshot.
@lru_cache(maxsize=4)
def _packages(output: str) -> Mapping[str, str]:
    packages = {}
    for line in output.splitlines():
        status, *rest = line.split("\t")
        if len(rest) == 3 and status[1:2] == "i":
            packages[rest[0]] = rest[1]
    return MappingProxyType(packages)
