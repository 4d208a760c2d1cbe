"""One app on the host: its releases, backups and operations."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.runner.contract import Operation, Result
from gpuhost.snapshot.apps_details import Details


@dataclass(frozen=True)
class ReleaseState:
    """One release, as its directory on the host shows it.

    + result: None while it is in progress, or if it was interrupted
    + rollback_of: the release whose files and images it restored; "": it is not a rollback
    """

    id: str
    inputs: str
    revision: str
    by: str
    project: str
    rollback_of: str
    result: Result | None

    @property
    def verified(self) -> bool:
        return self.result is not None and self.result.verified


@dataclass(frozen=True)
class Given:
    """The file with the secrets that came with a release."""

    sha256: str
    mode: str
    owner: str


@dataclass(frozen=True)
class Backup:
    """A backup.

    + complete: it has its manifest, which is written last
    + taken: the time of the host's clock then
    """

    name: str
    complete: bool
    taken: int | None = None


@dataclass(frozen=True)
class BackupUnits:
    """The systemd units of scheduled backups.

    + timer: the timer is active
    + running: a backup is in progress
    + failed: why the last backup failed, "exit-code", "timeout"; "": none failed since the boot
    """

    timer: bool = False
    running: bool = False
    failed: str = ""


@dataclass(frozen=True)
class AppState:
    """One app on the host.

    + current: the id of the last verified release; None: there is none
    + releases: newest first
    + runner: the runner's file in /opt/gpuhost/lib, of the last release
    + at_work: its unit runs, or an attempt holds the lock; a backup holds the lock without attempt
    + restoring: the backup of a restore that has not ended; "": it cannot be read; None: none
    + given: the secrets of the current release
    + backups: newest first, in the runner's order
    + details: of the current release, or why they could not be read
    """

    name: str
    current: str | None
    runner: str | None
    releases: tuple[ReleaseState, ...]
    attempt: Operation | None
    at_work: bool
    given: Given | None
    backups: tuple[Backup, ...]
    backup_units: BackupUnits = BackupUnits()
    restoring: str | None = None
    details: Details | str = "no release was ever verified"

    def release(self, id: str | None) -> ReleaseState | None:
        return next((release for release in self.releases if release.id == id), None)

    @property
    def current_release(self) -> ReleaseState | None:
        return self.release(self.current)

    @property
    def newest(self) -> ReleaseState | None:
        return self.releases[0] if self.releases else None

    @property
    def under_way(self) -> Operation | None:
        """The operation in progress."""
        return (self.attempt or Operation.lenient({})) if self.at_work else None

    @property
    def cut_off(self) -> Operation | None:
        """An operation that has begun, and that no process continues."""
        return None if self.at_work else self.attempt

    @property
    def project(self) -> str:
        """The Compose project of the current release, else of the newest."""
        known = self.current_release or self.newest
        return known.project if known and known.project else self.name
