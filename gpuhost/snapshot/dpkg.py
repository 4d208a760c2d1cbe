"""The package manager: locks, unfinished packages, automatic updates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.packages import database_complaint, installed_packages
from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import read_units

PERIODIC = "APT::Periodic"
BLACKLIST = "Unattended-Upgrade::Package-Blacklist"
ALLOWED, PATTERNS = "Unattended-Upgrade::Allowed-Origins", "Unattended-Upgrade::Origins-Pattern"
# It always has a value: an older reading has none, and says nothing about origins.
ALWAYS = "Dir::Etc::main"
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
# Of grep; older recordings are of ps.
PROCESS = re.compile(r"(?:/proc/)? *(\d+)(?:/comm:| )(.*)", re.ASCII)
PACKAGE_TOOLS = ("apt", "dpkg", "unattended", "packagekit", "synaptic")
LOCK_TABLE = "/proc/locks"
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
# dpkg resolves every user and group of it before it unpacks anything: with one that does not exist
# it ends. "#110" is a number.
OVERRIDES = "/var/lib/dpkg/statoverride"
OWNERS = f"""set -f
while read -r user group rest; do
    printf "%s\\n" "$user $group $rest"
    case $user in "#"*) ;; *) users="$users $user" ;; esac
    case $group in "#"*) ;; *) groups="$groups $group" ;; esac
done <{OVERRIDES}
for one in passwd group; do
    echo "# $one"
    case $one in passwd) set -- $users ;; *) set -- $groups ;; esac
    getent $one root "$@"
done
exit 0"""
BROKEN = re.compile(r"^Package: (\S+)\nStatus: \S+ reinstreq ", re.MULTILINE)
UNFINISHED = r"^Status: .* (reinstreq .*|half-.*|unpacked|triggers-.*)$"
REQUEST = Request(
    files=(LOCK_TABLE,),
    packages=("unattended-upgrades",),
    units=TIMERS,
    probes=(
        ProbeCommand("processes", "grep -asH '' /proc/[0-9]*/comm", at_once=True),
        ProbeCommand("apt_locks", f"stat -c '%d %i %n' {' '.join(LOCKS)}", at_once=True),
        ProbeCommand("dpkg_updates", "find /var/lib/dpkg/updates -type f", at_once=True),
        ProbeCommand(
            "dpkg_unfinished",
            f"grep -B1 -E '{UNFINISHED}' /var/lib/dpkg/status",
            absent=Probe(1),
            at_once=True,
        ),
        ProbeCommand(
            "dpkg_overrides", f"sh -c {quote(OWNERS)}", only_if=f"[ -s {OVERRIDES} ]", absent=None
        ),
        ProbeCommand(
            "apt_config",
            f"apt-config dump --no-empty {PERIODIC} {BLACKLIST} {ALLOWED} {PATTERNS} {ALWAYS}",
        ),
    ),
)


@dataclass(frozen=True)
class Lock:
    """A lock that a process holds. command: "" if the process could not be read."""

    path: str
    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command or 'process'} (pid {self.pid}) holds {self.path}"


@dataclass(frozen=True)
class Dpkg:
    """locks: held right now; unfinished: packages; journal: dpkg itself was interrupted.

    + broken: of the unfinished packages, those that dpkg takes only whole again: "reinstreq"
    + complaint: why its database cannot be read; "": it can
    + unknown_owners: paths of dpkg-statoverride whose user or group does not exist
    """

    locks: tuple[Lock, ...]
    unfinished: tuple[str, ...]
    journal: bool
    broken: tuple[str, ...] = ()
    complaint: str = ""
    unknown_owners: tuple[str, ...] = ()

    @classmethod
    def read(cls, probes: Probes) -> Dpkg:
        complaint = database_complaint(probes)
        allowed = (0, 1, 2) if complaint else (0, 1)
        return cls(
            locks=tuple(_held(probes)),
            unfinished=_packages(probes.output("dpkg_unfinished", allow=allowed)),
            journal=any(
                re.fullmatch(r"/var/lib/dpkg/updates/\d+", line)
                for line in probes.output("dpkg_updates").splitlines()
            ),
            broken=tuple(BROKEN.findall(probes.get("dpkg_unfinished").out)),
            complaint=complaint,
            unknown_owners=tuple(_unknown_owners(probes)),
        )


@dataclass(frozen=True)
class Updates:
    """Automatic updates, from apt's effective configuration.

    + installed: unattended-upgrades is installed
    + lists, upgrades: package lists are fetched, upgrades are installed
    + blocked: patterns of the packages that are not upgraded
    + stopped_timers: its timers that are not active
    + allowed, patterns: where upgrades may come from; both None: not read
    """

    installed: bool
    lists: bool
    upgrades: bool
    blocked: frozenset[str]
    stopped_timers: tuple[str, ...]
    allowed: tuple[str, ...] | None = None
    patterns: tuple[str, ...] | None = None

    @classmethod
    def read(cls, probes: Probes) -> Updates:
        values = list(_apt_config(probes.output("apt_config")))
        periodic = {key: value for key, value in values if value not in ("", "0")}
        units = read_units(probes)
        is_read = any(key == ALWAYS for key, _ in values)
        return cls(
            installed="unattended-upgrades" in installed_packages(probes),
            lists=f"{PERIODIC}::Update-Package-Lists" in periodic,
            upgrades=f"{PERIODIC}::Unattended-Upgrade" in periodic,
            blocked=frozenset(value for key, value in values if key == f"{BLACKLIST}::"),
            stopped_timers=tuple(
                name for name in TIMERS if name not in units or not units[name].active
            ),
            allowed=_listed(values, ALLOWED) if is_read else None,
            patterns=_listed(values, PATTERNS) if is_read else None,
        )


def _held(probes: Probes) -> Iterator[Lock]:
    """POSIX locks on the package manager's lock files, by inode and device."""
    table = probes.file(LOCK_TABLE) or ""
    commands = dict(_pairs(probes.get("processes").out))
    files = {}
    for line in probes.output("apt_locks", allow=(0, 1)).splitlines():
        words = line.split(" ", 2)
        if len(words) == 3 and words[0].isdecimal():
            files[words[1]] = (_device(int(words[0])), words[2])
    for line in table.splitlines():
        words = line.split()
        if len(words) < 6 or words[3] != "WRITE" or not words[4].isdecimal():
            continue
        device, _, inode = words[5].rpartition(":")
        if inode not in files:
            continue
        device_of_file, path = files[inode]
        command = commands.get(words[4], "")
        # On btrfs and union file systems, `stat` prints another device than the kernel uses.
        if device == device_of_file or command.startswith(PACKAGE_TOOLS):
            yield Lock(path, int(words[4]), command)


def _unknown_owners(probes: Probes) -> Iterator[str]:
    """`user group mode path` of dpkg-statoverride, then what getent knows of passwd and group."""
    if "dpkg_overrides" not in probes:
        return
    text = probes.get("dpkg_overrides").out
    overrides, users, groups = (*re.split(r"^# (?:passwd|group)$", text, flags=re.M), "", "")[:3]
    known = [{line.partition(":")[0] for line in part.splitlines()} for part in (users, groups)]
    if any("root" not in names for names in known):  # getent did not answer
        return
    for line in overrides.splitlines():
        words = line.split(" ", 3)
        if len(words) == 4 and not all(
            name.startswith("#") or name in names for name, names in zip(words, known, strict=False)
        ):
            yield words[3]


def _device(number: int) -> str:
    """A device number as /proc/locks writes it (Linux's encoding, whatever this machine is)."""
    major = (number >> 8) & 0xFFF | (number >> 32) & ~0xFFF
    minor = number & 0xFF | (number >> 12) & ~0xFF
    return f"{major:02x}:{minor:02x}"


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    for line in table.splitlines():
        if match := PROCESS.fullmatch(line):
            yield match[1], match[2]


def _packages(stanzas: str) -> tuple[str, ...]:
    """Names from `grep -B1 ^Status:`, where dpkg writes Package just above Status."""
    lines = stanzas.splitlines()
    return tuple(
        line.partition(":")[2].strip() for line in lines if line.startswith("Package:")
    ) or (("a package",) if lines else ())


def _apt_config(dump: str) -> Iterator[tuple[str, str]]:
    for line in dump.splitlines():
        match = re.fullmatch(r'(\S+) "(.*)";', line)
        if match:
            yield match[1], match[2]


def _listed(values: Iterable[tuple[str, str]], name: str) -> tuple[str, ...]:
    return tuple(value for key, value in values if key == f"{name}::")
