"""The files of an app on its host. No release deletes anything under shared/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path("/opt/gpuhost")


@dataclass(frozen=True)
class ReleasePaths:
    """/opt/gpuhost/APP/releases/ID: one release."""

    home: Path

    @property
    def plan(self) -> Path:
        return self.home / "plan.json"

    @property
    def compose(self) -> Path:
        """The user's own file, byte for byte."""
        return self.home / "compose.yaml"

    @property
    def resolved(self) -> Path:
        """What Compose resolved the app's files to, changed for this host; 0600."""
        return self.home / "resolved.json"

    @property
    def builds(self) -> Path:
        """The same for builds: with their arguments and bases, without secrets; 0600."""
        return self.home / "build.json"

    @property
    def runs(self) -> Path:
        """The same with secrets and image ids: what runs; 0600, never sent anywhere."""
        return self.home / "compose.json"

    @property
    def variables(self) -> Path:
        """The plan's variables for Compose; 0600."""
        return self.home / "variables.env"

    @property
    def run_env(self) -> Path:
        """Values of configs and secrets that are from the environment; 0600."""
        return self.home / "run.env"

    @property
    def override(self) -> Path:
        """Only in a release of an older gpuhost: what it added for this host."""
        return self.home / "compose.override.yaml"

    @property
    def host(self) -> Path:
        """Only in a release of an older gpuhost: secrets and image ids; 0600."""
        return self.home / "compose.host.json"

    @property
    def env(self) -> Path:
        """Secrets for ${NAME} in the user's file; 0600."""
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
    def overlay(self) -> Path:
        """Files to put over the source."""
        return self.home / "overlay.tar.gz"

    @property
    def unpacked_overlay(self) -> Path:
        """Deleted when its files are in the source."""
        return self.home / ".overlay.new"

    @property
    def source(self) -> Path:
        return self.home / "source"

    @property
    def new_source(self) -> Path:
        """An incomplete source."""
        return self.home / ".source.new"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def record(self) -> Path:
        """What the release created and measured: images, times, the backup."""
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
        """The app's data, the same in every release, at the same paths as in the source."""
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
        """The operation in progress; missing if there is none."""
        return self.home / "attempt.json"

    @property
    def abort(self) -> Path:
        """A person has asked to end that operation; missing otherwise."""
        return self.home / "abort.json"

    @property
    def generated(self) -> Path:
        """Secrets generated once on this host, name to value; 0600."""
        return self.home / "generated.json"

    @property
    def docker(self) -> Path:
        """Docker's client configuration with the app's registry logins; 0700."""
        return self.home / "docker"

    @property
    def git(self) -> Path:
        """A copy of the source's repository, so that a release fetches only what is new."""
        return self.home / "git"

    @property
    def new_git(self) -> Path:
        """The same, while it is changed."""
        return self.home / ".git.new"

    @property
    def known_hosts(self) -> Path:
        """SSH host keys that were accepted at the first connection."""
        return self.home / "known_hosts"

    @property
    def files(self) -> Path:
        """Files of the project that containers mount, by content; 0700."""
        return self.home / "files"

    @property
    def copying(self) -> Path:
        """Copies of the source's content into shared/ that have not ended: path to release."""
        return self.home / "copying.json"

    @property
    def bases(self) -> Path:
        """Base images that were built here: tag to image id and hash of the build inputs."""
        return self.home / "bases.json"

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def restore(self) -> Path:
        """Files of a restore; deleted when the restore ends."""
        return self.home / "restore"

    @property
    def restoring(self) -> Path:
        """The progress of a restore; missing if there is none."""
        return self.restore / "state.json"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def history(self) -> Path:
        """A JSON line for each release, rollback, restore and removal."""
        return self.home / "history.jsonl"

    def release(self, release_id: str) -> ReleasePaths:
        return ReleasePaths(self.releases / release_id)

    def operation(self, operation_id: str) -> ReleasePaths:
        """Log and result of an operation; those of a restore are in the directory of its backup."""
        backup = ReleasePaths(self.backups / operation_id)
        return backup if backup.home.is_dir() else self.release(operation_id)
