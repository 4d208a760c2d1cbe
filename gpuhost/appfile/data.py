"""directories, logs, migrate and backup: the state that outlives releases."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gpuhost.appfile.section import Line, Path, Seconds, Section, Service


class Directory(Section):
    """A directory that is there, with this owner and mode, before anything starts."""

    owner: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$",
            title='an owner, such as "1001:1001"',
        ),
    ] = "0:0"
    """User and group, as numbers or names of the host."""
    mode: Annotated[
        str, Field(pattern=r"^0?[0-7]{3,4}$", title='octal digits in quotes, such as "0755"')
    ] = "0755"
    """Octal."""


class Logs(Section):
    """Log files that the app writes into bind mounts, rotated on the host."""

    files: tuple[Path, ...] = ()
    """Relative to the project directory; * allowed."""
    max_size_mb: Annotated[int, Field(ge=1)] = 50
    """Rotated when larger, or daily."""
    keep: Annotated[int, Field(ge=1)] = 7
    """Rotated files that are kept, compressed."""


class Migrate(Section):
    """A one-shot service that brings the database to the new release."""

    service: Service
    """The service that is run once, before the new release starts."""
    limit_s: Seconds = 600
    """The longest it may take."""
    without_backup: bool = False
    """Migrate even if no backup is declared."""


# The first character keeps it from being read as an option.
DatabaseName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", title="the name of a database or user")
]


class Postgres(Section):
    """A database dumped by pg_dump inside its own container."""

    service: Service
    """The service that runs PostgreSQL."""
    database: DatabaseName
    """Database."""
    user: DatabaseName = "postgres"
    """Who dumps it."""


class Backup(Section):
    """Taken before each migration, by schedule, and read back by deploys/restore.py."""

    sqlite: tuple[Path, ...] = ()
    """SQLite databases, copied by SQLite's own backup while the app runs."""
    postgres: tuple[Postgres, ...] = ()
    """PostgreSQL databases."""
    paths: tuple[Path, ...] = ()
    """Files and directories, relative to the project directory."""
    every: Annotated[Line, Field(min_length=1)] | None = None
    """systemd's OnCalendar: "daily", "*-*-* 03:30"; none: only before migrations."""
    keep: Annotated[int, Field(ge=1)] = 7
    """Backups that are kept."""
    limit_s: Seconds = 1800
    """The longest one may take."""

    @model_validator(mode="after")
    def _something(self) -> Backup:
        if not (self.sqlite or self.postgres or self.paths):
            raise ValueError("give sqlite, postgres or paths")
        return self
