"""The mirror of the distribution's packages, and the changes of apt's sources for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from gpuhost.domain.apt.mirrors import Mirror, mirror_called
from gpuhost.domain.apt.plan import HostSources, Plan, to_mirror
from gpuhost.domain.apt.record import Record
from gpuhost.domain.moment import utc
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import MASKED_LOGIN, NOT_UTF8

# If no candidate worked, `auto` tries them again after this time.
ASK_AGAIN = timedelta(days=1)
CLOUD_INIT_TEXT = (
    "# Written by gpuhost: apt's sources are its mirror.\napt:\n  preserve_sources_list: true\n"
)


def time_of(snapshot: Snapshot) -> datetime:
    """The host's own time."""
    return utc(snapshot.system.now)


def setting(settings: Settings) -> str:
    """The setting that a choice belongs to; another setting needs another choice."""
    if settings.apt_mirror == "auto":
        return f"auto: {' '.join(settings.apt_mirror_candidates)}"
    return settings.apt_mirror or ""


def current_choice(snapshot: Snapshot, settings: Settings) -> Record | None:
    """The declared mirror, or the earlier choice of `auto`; None: the candidates must be tried."""
    record = snapshot.apt.sources.record
    if record and record.setting == setting(settings) and not _worth_asking(record, snapshot):
        return record
    if settings.apt_mirror in (None, "auto"):
        return None
    mirror = mirror_called(str(settings.apt_mirror), https=snapshot.apt.certificates)
    return choice_of(mirror, snapshot, settings)


def choice_of(
    mirror: Mirror | None,
    snapshot: Snapshot,
    settings: Settings,
    passed_over: dict[str, str] | None = None,
) -> Record:
    """A new choice.

    + mirror: None: no candidate works
    """
    return Record(
        setting=setting(settings),
        mirror=mirror.name if mirror else "",
        base=mirror.base if mirror else "",
        chosen_at=time_of(snapshot).isoformat(),
        passed_over=passed_over or {},
    )


def plan(snapshot: Snapshot, settings: Settings) -> Plan | None:
    """The necessary changes; None: `auto` must try the candidates first."""
    if settings.apt_mirror is None:
        return snapshot.apt.sources.undone
    choice = current_choice(snapshot, settings)
    return plan_for(choice, snapshot, settings) if choice else None


def plan_for(choice: Record, snapshot: Snapshot, settings: Settings) -> Plan:
    return to_mirror(snapshot.apt.sources, choice, with_security=settings.apt_mirror_security)


def refusal(snapshot: Snapshot, changes: Plan | None) -> str:
    """Why the sources cannot be rewritten without loss; empty if they can."""
    files = {file.path for file in (*changes.files, *changes.originals)} if changes else set()
    reasons = unreadable_files(snapshot.apt.sources)
    return "; ".join(f"{path} {reason}" for path, reason in reasons.items() if path in files)


def unreadable_files(sources: HostSources) -> dict[str, str]:
    """Files that were not read completely, so that gpuhost must not rewrite them, and why."""
    reasons = {
        MASKED_LOGIN: "holds a password, which belongs in /etc/apt/auth.conf.d",
        NOT_UTF8: "is not UTF-8",
    }
    return {
        file.path: reason
        for file in (*sources.files, *sources.saved)
        for mark, reason in reasons.items()
        if mark in file.content
    }


def keeps_sources(changes: Plan) -> bool:
    """Whether cloud-init must be kept from rewriting the sources."""
    return changes.record is not None and changes.record.chosen() is not None


def _worth_asking(record: Record, snapshot: Snapshot) -> bool:
    """No candidate worked, and that was some time ago."""
    if record.base:
        return False
    try:
        return time_of(snapshot) - datetime.fromisoformat(record.chosen_at) > ASK_AGAIN
    except (ValueError, TypeError):
        return True
