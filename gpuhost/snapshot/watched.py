"""Files that decide who gets in and what runs as root, by hash, and the accounts that are root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

ABSENT = "No such file or directory"
LINE = re.compile(r"\\?([0-9a-f]{64}) [ *](/.+)")
# Members of these are root, or can become it.
GROUPS = "root|sudo|wheel|admin|docker|lxd|libvirt|disk|shadow"
# Links among these are aliases of packages' units, which change with an upgrade.
UNITS = ("/etc/systemd/system/*.*", "/etc/systemd/system/*.d/*.conf")
# A pipe or a device is not a file: reading it would not end.
SMALL_FILES = "-maxdepth 0 -type f -size -4096k -exec sha256sum -- {} +"
# Without IFS a pattern is expanded, but not split into words.
HASH = f"IFS=; find -L $@ {SMALL_FILES}; find {' '.join(UNITS)} {SMALL_FILES}"
REQUEST = Request(
    probes=(
        ProbeCommand("watched", f"sh -c {quote(HASH)} sh", arguments="watched"),
        ProbeCommand("root_accounts", "awk -F: '$3 == 0 { print $1 }' /etc/passwd", at_once=True),
        ProbeCommand(
            "root_groups",
            f"""awk -F: '/^({GROUPS}):/ {{ print $1 ":" $4 }}' /etc/group""",
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class Watched:
    """+ files: path -> sha256; of those that exist
    + accounts: names with the user id 0; groups: group -> its members
    """

    files: Mapping[str, str]
    accounts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, probes: Probes) -> Watched:
        """Raises NotRead."""
        # 1: a pattern matches nothing.
        out, probe = probes.output("watched", allow=(0, 1)), probes.get("watched")
        errors = [line for line in probe.err.splitlines() if ABSENT not in line]
        if errors:
            raise NotRead(f"watched: {errors[0]}")
        found = (LINE.fullmatch(line) for line in out.splitlines())
        rows = (line.partition(":") for line in probes.output("root_groups").splitlines())
        return cls(
            {match[2]: match[1] for match in found if match},
            tuple(sorted(probes.output("root_accounts").split())),
            {name: tuple(sorted(filter(None, members.split(",")))) for name, _, members in rows},
        )
