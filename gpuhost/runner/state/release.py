"""A release: its plan, paths, log and record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import AppPaths, ReleasePaths, from_json
from gpuhost.runner.lib.files import load_json, write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan, Plan, load
from gpuhost.runner.state.container import Before
from gpuhost.runner.state.releases import current_id

AGAIN = "release the app again"


@dataclass(frozen=True)
class Owned:
    """A directory's owner and mode."""

    uid: int
    gid: int
    mode: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid} {self.mode:04o}"


@dataclass(frozen=True)
class ByHand:
    """A container that was started by hand."""

    name: str
    image: str
    image_id: str
    directory: str
    is_running: bool

    def __str__(self) -> str:
        project = f", of the project in {self.directory}" if self.directory else ""
        return f"{self.name}: image {self.image} ({self.image_id[:19]}){project}"


@dataclass(frozen=True)
class Record:
    """record.json: facts for later releases, rollbacks and the drift check."""

    # Id -> a container started by hand before the first release; None: not read yet.
    by_hand: dict[str, ByHand] | None = None
    # Service -> the id of its image, and the local tag that keeps it: gpuhost/APP/SERVICE:ID12.
    images: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Its place among the releases of the app, from 1; 0: of an older gpuhost.
    sequence: int = 0
    # Stage -> seconds.
    took: dict[str, float] = field(default_factory=dict)
    # Service -> peak memory of its build, bytes.
    build_memory: dict[str, int] = field(default_factory=dict)
    # Path -> owner and mode of a declared directory before the release.
    directories: dict[str, Owned] = field(default_factory=dict)
    # Secret -> modification time of its file, nanoseconds.
    secret_files: dict[str, int] = field(default_factory=dict)
    backup: str = ""
    # Path whose content in the source is copied into shared/ -> whether the copy is complete.
    copied: dict[str, bool] = field(default_factory=dict)
    # There was no data yet to back up.
    nothing_to_back_up: bool = False
    # Seconds without an answer of the app during the switch.
    gap_s: float | None = None


@dataclass
class Release:
    """The argument of every stage."""

    app: AppPaths
    paths: ReleasePaths
    plan: Plan
    log: Log
    record: Record = field(default_factory=Record)
    # The containers before its start.
    before: Before = field(default_factory=Before)
    # The content of resolved.json, once it was read.
    composed: dict[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, app: AppPaths, release_id: str, log: Log | None = None) -> Release:
        """Read a release from its directory.

        + log: of the release that fails, when this one is restored

        Raises BadPlan.
        """
        paths = app.release(release_id)
        release = cls(
            app, paths, load(paths.plan), log or Log(paths.log), read_record(paths.record)
        )
        release.log.mask(release.secrets.values())
        return release

    @classmethod
    def open_current(cls, app: AppPaths, log: Log) -> Release | None:
        """The last verified release; None if there is none yet. Raises BadPlan."""
        current = current_id(app)
        return cls.open(app, current, log) if current else None

    @property
    def source(self) -> Path:
        """The project; a rollback uses that of its target."""
        return self.app.release(self.plan.rollback_of or self.plan.id).source

    @property
    def is_old(self) -> bool:
        """Whether an older gpuhost made it, with a second Compose file."""
        return self.paths.override.exists()

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Name to value: given with the release, or generated on this host."""
        given = {name: str(value) for name, value in _values(self.paths.given).items()}
        return {**self.generated(), **given}

    def generated(self) -> dict[str, str]:
        """The secrets that were generated on this host. Raises BadPlan, or OSError."""
        kept = _values(self.app.generated, fix="repair its JSON: it has the generated secrets")
        return {name: str(value) for name, value in kept.items()}

    def remember(self, **changed: object) -> None:
        """Store facts in record.json at once."""
        self.record = replace(self.record, **changed)  # type: ignore[arg-type]
        write_json(self.paths.record, asdict(self.record))


def read_record(path: Path) -> Record:
    """record.json; an empty Record if it does not exist. Raises BadPlan."""
    values = _values(path)
    try:
        return from_json(Record, values)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadPlan(f"{path} is damaged: {error}; {AGAIN}") from error


def _values(path: Path, fix: str = AGAIN) -> dict[str, object]:
    try:
        return load_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadPlan(f"{path} is damaged: {error}; {fix}") from error
