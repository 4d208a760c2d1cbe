"""Files that decide who gets in and what runs as root: which are watched, and their record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from gpuhost.plans.proxy import ENGINE_DROPIN
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.watched import KEYS, UNITS

FACT = "watched"
# These compare with the record.
CHECKS = ("watch.files", "watch.engine_units")
LOGINS = (
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*",
    "/etc/ssh/*.pub",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/root/.ssh/authorized_keys",
    "/root/.ssh/authorized_keys2",
    "/etc/ssh/authorized_keys/*",
    "/etc/ssh/authorized_keys.d/*",
    "/etc/pam.d/sshd",
    "/etc/pam.d/sudo",
    "/etc/ld.so.preload",
)
SCHEDULED = (
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.d/*",
    "/etc/cron.hourly/*",
    "/etc/cron.daily/*",
    "/etc/cron.weekly/*",
    "/etc/cron.monthly/*",
    "/etc/cron.yearly/*",
    "/var/spool/cron/crontabs/root",
    "/etc/rc.local",
)
# Keys of accounts that are root or can become it, wherever their homes are.
LOGIN_KEYS = tuple(f"~{key}" for key in KEYS)
# Among the patterns of a record: units that are links were watched too.
LINKED_UNITS = "linked units"
# In the order of systemd.unit(5); system.control is where `systemctl set-property` writes.
UNIT_DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
ENGINE_UNITS = ("docker.service", "docker.socket", "containerd.service")
# What a package brings changes with an upgrade.
VENDOR = "/usr/lib/"
# gpuhost's own units, whose content other checks compare, and mounts that snapd renews by itself.
NOT_WATCHED = re.compile(
    rf"/etc/systemd/system/(gpuhost-[^/]*|snap[-.][^/]*)|{re.escape(ENGINE_DROPIN)}"
)


def engine_patterns() -> tuple[str, ...]:
    """The units of docker and containerd and their drop-ins, also those of all services."""
    names = (*ENGINE_UNITS, *(f"{name}.d/*.conf" for name in (*ENGINE_UNITS, "service", "socket")))
    return tuple(f"{directory}/{name}" for directory in UNIT_DIRECTORIES for name in names)


def request(settings: Settings) -> Request:
    """What is hashed at each reading."""
    own = (*UNITS, *LOGIN_KEYS)
    return Request(watched=tuple(one for one in patterns(settings) if one not in own))


def patterns(settings: Settings) -> tuple[str, ...]:
    return (*LOGINS, *LOGIN_KEYS, *SCHEDULED, *UNITS, *engine_patterns(), *settings.drift_watch)


def files(snapshot: Snapshot) -> dict[str, str]:
    """The watched files. Raises NotRead."""
    found = snapshot.watched.files.items()
    return {path: digest for path, digest in found if not NOT_WATCHED.fullmatch(path)}


def on_record(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """What the host records of them. Raises NotRead."""
    return {
        FACT: {
            "patterns": [*patterns(settings), LINKED_UNITS],
            "files": files(snapshot),
            "accounts": list(snapshot.watched.accounts),
            "groups": {name: list(members) for name, members in snapshot.watched.groups.items()},
        }
    }


def recorded(snapshot: Snapshot) -> Mapping[str, Any] | None:
    """The record of the last deploy; None: it has none."""
    value = snapshot.applied.facts.get(FACT) if snapshot.applied else None
    return value if isinstance(value, dict) else None


def changed_files(snapshot: Snapshot, settings: Settings, *, of_engine: bool) -> list[str]:
    """ "/etc/sudoers.d/bob added", for files that are watched now and were at the last deploy.

    + of_engine: the units of docker and containerd, or all others
    """
    known = recorded(snapshot) or {}
    before, engine = _texts(known.get("patterns")), engine_patterns()
    recorded_files = known.get("files")
    then = dict(recorded_files) if isinstance(recorded_files, dict) else {}
    then = {path: digest for path, digest in then.items() if _matches(path, patterns(settings))}
    unwatched = frozenset() if LINKED_UNITS in before else snapshot.watched.links - {*then}
    now = {
        path: digest
        for path, digest in files(snapshot).items()
        if _matches(path, [one for one in before if path not in unwatched or one not in UNITS])
    }
    return [
        f"{path} {_change(path in then, path in now)}"
        for path in sorted({*then, *now})
        if then.get(path) != now.get(path) and _matches(path, engine) is of_engine
    ]


def _change(before: bool, now: bool) -> str:
    return "changed" if before and now else "added" if now else "removed"


def _matches(path: str, patterns: Iterable[str]) -> bool:
    """As a shell matches: `*` is no `/`; `~` is any home."""
    depth = path.count("/")
    return any(
        path.endswith(one[1:]) if one in LOGIN_KEYS
        else depth == one.count("/") and fnmatchcase(path, one)
        for one in patterns
    )  # fmt: skip


def changed_accounts(snapshot: Snapshot) -> list[str]:
    """ "toor has the user id 0", "bob is no longer in the group docker". Raises NotRead."""
    known, watched = recorded(snapshot) or {}, snapshot.watched
    groups = known.get("groups")
    then = _facts(
        _texts(known.get("accounts")),
        {str(name): _texts(members) for name, members in groups.items()}
        if isinstance(groups, dict)
        else {},
    )
    now = _facts(watched.accounts, watched.groups)
    return [
        *(f"{name} {is_} {what}" for name, is_, _, what in sorted(now - then)),
        *(f"{name} {is_not} {what}" for name, _, is_not, what in sorted(then - now)),
    ]


def _facts(
    accounts: Iterable[str], groups: Mapping[str, Iterable[str]]
) -> set[tuple[str, str, str, str]]:
    return {
        *((name, "has", "no longer has", "the user id 0") for name in accounts),
        *(
            (member, "is", "is no longer", f"in the group {group}")
            for group, members in groups.items()
            for member in members
        ),
    }


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
