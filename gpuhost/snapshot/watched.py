"""Files that decide who gets in and what runs as root, by hash, and the accounts that are root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

ABSENT = ("No such file or directory", "Not a directory")
LINK = "link "
LINE = re.compile(r"\\?([0-9a-f]{64}) [ *](/.+)")
# Members of these are root, or can become it.
GROUPS = "root|sudo|wheel|admin|docker|lxd|libvirt|disk|shadow"
UNITS = tuple(
    f"{directory}/{name}"
    for directory in ("/etc/systemd/system", "/usr/local/lib/systemd/system")
    for name in ("*.*", "*.d/*.conf")
)
# A link to a package's unit is an alias, whose content changes with an upgrade.
OWN_UNITS = (
    "'(' -type f -o -xtype f '(' -lname '*..*' -o "
    "! -lname '/lib/systemd/system/*' ! -lname '/usr/lib/systemd/system/*' ')' ')'"
)
# Homes of accounts with the user id 0 and of members of the groups, also by their primary group; a
# server that is gone may make those of the network hang, and root may not read them.
REMOTE = "nfs|cifs|smb|autofs|fuse|9p|afs|ceph|lustre|beegfs|gpfs|glusterfs"
MOST_ACCOUNTS = 1000
KEYS = ("/.ssh/authorized_keys", "/.ssh/authorized_keys2")
LOGIN_KEYS = (
    f"""BEGIN {{ groups = "^({GROUPS})$"; split("{" ".join(KEYS)}", keys, " ") }} """
    'FILENAME == ARGV[1] { split($0, mount, " "); '
    f'if (mount[3] ~ /^({REMOTE})/ && mount[2] != "/") remote[mount[2] "/"]; next }} '
    "FILENAME == ARGV[2] { if ($1 !~ groups) next; gids[$3]; "
    'count = split($4, names, ","); while (count) members[names[count--]]; next } '
    "$3 != 0 && !($4 in gids) && !($1 in members) || $6 !~ /^\\/./ || $6 in seen { next } "
    f"{{ seen[$6]; if (++accounts > {MOST_ACCOUNTS}) exit; "
    "for (i = 1; i in keys; i++) { path = $6 keys[i]; here = 1; "
    "for (way in remote) if (index(path, way) == 1) here = 0; if (here) print path } }"
)
# A pipe or a device is not a file: reading it would not end.
SMALL_FILES = "-maxdepth 0 -type f -size -4096k -exec sha256sum -- {} +"
# Without IFS a pattern is expanded, but not split into words.
HASH = (
    f"IFS=; find -L $@ {SMALL_FILES}; IFS='\n'; set -f; "
    f"set -- $(set +f; find {' '.join(UNITS)} -maxdepth 0 {OWN_UNITS}); "
    'for unit; do [ ! -h "$unit" ] || printf "link %s\\n" "$unit"; done; '
    f'set -- "$@" $(awk -F: {quote(LOGIN_KEYS)} /proc/mounts /etc/group /etc/passwd); '
    f'[ $# = 0 ] || find -L "$@" {SMALL_FILES}'
)
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
    + links: units among them that are links
    + accounts: names with the user id 0; groups: group -> its members
    """

    files: Mapping[str, str]
    accounts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    links: frozenset[str] = frozenset()

    @classmethod
    def read(cls, probes: Probes) -> Watched:
        """Raises NotRead."""
        # 1: a pattern matches nothing.
        out, probe = probes.output("watched", allow=(0, 1)), probes.get("watched")
        errors = [line for line in probe.err.splitlines() if not line.endswith(ABSENT)]
        if errors:
            raise NotRead(f"watched: {errors[0]}")
        found = (LINE.fullmatch(line) for line in out.splitlines())
        rows = (line.partition(":") for line in probes.output("root_groups").splitlines())
        return cls(
            {match[2]: match[1] for match in found if match},
            tuple(sorted(probes.output("root_accounts").split())),
            {name: tuple(sorted(filter(None, members.split(",")))) for name, _, members in rows},
            frozenset(line[len(LINK) :] for line in out.splitlines() if line.startswith(LINK)),
        )
