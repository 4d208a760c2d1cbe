"""directories, logs, migrate and backup: data that outlives releases."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gpuhost.appfile.section import Line, ProjectPath, Seconds, Section, Service


class Directory(Section):
    """A directory that gpuhost creates, with owner and mode, before anything starts."""

    owner: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$",
            title='an owner, such as "1001:1001"',
        ),
    ] = "0:0"
    """User and group, as numbers or as names on the host."""
    mode: Annotated[
        str, Field(pattern=r"^0?[0-7]{3,4}$", title='octal digits in quotes, such as "0755"')
    ] = "0755"
    """Permissions, octal."""


class Logs(Section):
    """Log files that the app writes into bind mounts, rotated on the host."""

    files: tuple[ProjectPath, ...] = ()
    """Relative to the project directory; * allowed in the name of a file."""
    max_size_mb: Annotated[int, Field(ge=1)] = 50
    """Rotate when larger than this, and daily."""
    keep: Annotated[int, Field(ge=1)] = 7
    """How many rotated files to keep, compressed."""


class Migrate(Section):
    """A one-shot service that migrates the database to the new release."""

    service: Service
    """The service to run once, before the new release starts."""
    limit_s: Seconds = 600
    """Time limit."""
    without_backup: bool = False
    """Migrate without a backup before it."""


# The first character must not make it look like an option.
DatabaseName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", title="the name of a database or user")
]


class Postgres(Section):
    """A database, dumped by pg_dump in its own container."""

    service: Service
    """The service that runs PostgreSQL."""
    database: DatabaseName
    """Database name."""
    user: DatabaseName = "postgres"
    """Database user for the dump."""


class Backup(Section):
    """Made before each migration and on schedule; restored by deploys/restore.py."""

    sqlite: tuple[ProjectPath, ...] = ()
    """SQLite databases; copied consistently while the app runs."""
    postgres: tuple[Postgres, ...] = ()
    """PostgreSQL databases."""
    paths: tuple[ProjectPath, ...] = ()
    """Files and directories, relative to the project directory."""
    every: Annotated[Line, Field(min_length=1)] | None = None
    """Schedule, a systemd OnCalendar: "daily", "*-*-* 03:30"; default: only before migrations."""
    keep: Annotated[int, Field(ge=1)] = 7
    """How many backups to keep."""
    limit_s: Seconds = 1800
    """Time limit of one backup."""

    @model_validator(mode="after")
    def _not_empty(self) -> Backup:
        if not (self.sqlite or self.postgres or self.paths):
            raise ValueError("give sqlite, postgres or paths")
        return self
