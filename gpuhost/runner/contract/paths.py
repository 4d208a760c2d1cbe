"""Where an app lives on its host. No release ever cleans up anything under shared/ or backups/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path("/opt/gpuhost")


@dataclass(frozen=True)
class ReleasePaths:
    """/opt/gpuhost/APP/releases/ID: one release, with its log, however it ended."""

    home: Path

    @property
    def plan(self) -> Path:
        return self.home / "plan.json"

    @property
    def compose(self) -> Path:
        """The user's own file, byte for byte."""
        return self.home / "compose.yaml"

    @property
    def override(self) -> Path:
        """What gpuhost adds for this host; no secret is in it."""
        return self.home / "compose.override.yaml"

    @property
    def host(self) -> Path:
        """What only the host knows, secrets and image ids; 0600, and never sent anywhere."""
        return self.home / "compose.host.json"

    @property
    def env(self) -> Path:
        """Secrets as ${NAME} of the user's file finds them; 0600."""
        return self.home / "secrets.env"

    @property
    def given(self) -> Path:
        """Secrets that came with the release, name to value; 0600."""
        return self.home / "given.json"

    @property
    def nginx(self) -> Path:
        return self.home / "nginx.conf"

    @property
    def archive(self) -> Path:
        return self.home / "source.tar.gz"

    @property
    def source(self) -> Path:
        return self.home / "source"

    @property
    def unfinished(self) -> Path:
        """A source that is not whole yet."""
        return self.home / ".source.new"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def record(self) -> Path:
        """What the release made and found: images, times, the backup."""
        return self.home / "record.json"

    @property
    def result(self) -> Path:
        return self.home / "result.json"


@dataclass(frozen=True)
class AppPaths:
    """/opt/gpuhost/APP."""

    home: Path

    @property
    def shared(self) -> Path:
        """The project directory of every release: `./data` is the same in all of them."""
        return self.home / "shared"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """A link to the last verified release."""
        return self.home / "current"

    @property
    def attempt(self) -> Path:
        """There while something is under way: which release, and what is done with it."""
        return self.home / "attempt.json"

    @property
    def generated(self) -> Path:
        """Secrets made once on this host, name to value; 0600."""
        return self.home / "generated.json"

    @property
    def docker(self) -> Path:
        """Docker's client configuration with the app's registry logins; 0700."""
        return self.home / "docker"

    @property
    def git(self) -> Path:
        """What was fetched of the source's repository, so that a release fetches what is new."""
        return self.home / "git"

    @property
    def known_hosts(self) -> Path:
        """The SSH host keys that were taken at first sight."""
        return self.home / "known_hosts"

    @property
    def bases(self) -> Path:
        """Base images that were built here: tag to image id, and what they were built from."""
        return self.home / "bases.json"

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def restore(self) -> Path:
        """Where a restore works; it is cleared away once the data is whole again."""
        return self.home / "restore"

    @property
    def restoring(self) -> Path:
        """There until then: how far it is."""
        return self.restore / "state.json"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def history(self) -> Path:
        """The audit: a JSON line for each release, rollback and restore."""
        return self.home / "history.jsonl"

    def release(self, release_id: str) -> ReleasePaths:
        return ReleasePaths(self.releases / release_id)

    def operation(self, operation_id: str) -> ReleasePaths:
        """Where log and result are: a restore has the name of its backup, and they lie in that."""
        of_restore = ReleasePaths(self.backups / operation_id)
        return of_restore if of_restore.home.is_dir() else self.release(operation_id)
