"""migrate and backup."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.short_forms import volume_of
from gpuhost.appfile.proposing.candidates import words_of
from gpuhost.appfile.proposing.directories import data
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed, Value
from gpuhost.appfile.proposing.stores import stores

MIGRATION = re.compile(
    r"prisma\s+(?:migrate\s+deploy|db\s+push)|alembic\s+(?:-\S+\s+\S+\s+)*upgrade|manage\.py\s+migrate"
    r"|rails\s+db:(?:migrate|prepare)|rake\s+db:migrate|flask\s+db\s+upgrade|knex\s+migrate"
    r"|drizzle-kit\s+(?:migrate|push)|typeorm\s+migration|sequelize(?:-cli)?\s+db:migrate"
    r"|goose\s+.*\bup\b|flyway\s+.*migrate|^migrate$|liquibase\s+.*update|dbmate\s+.*(?:up|migrate)"
    r"|\b(?:run|yarn|pnpm|npm|bun)\s+(?:run\s+)?(?:db:)?migrat\w*|artisan\s+migrate|atlas\s+migrate"
    r"|(?:^|\s)(?:db:)?migrate(?:[:-](?:up|deploy|latest|prod\w*))?\s*$|-path\s+\S+\s+-database"
)
NAMES = frozenset(("migrate", "migration", "migrations", "migrator", "dbmigrate"))
# What starts a server afterwards.
SERVER = re.compile(
    r"(?:&&|;|\|\|)\s*(?:exec\s+)?\S*(?:gunicorn|uvicorn|node|npm|yarn|pnpm|python|rails|next"
    r"|daphne|celery|hypercorn|java|php|\./)"
)
SQLITE = re.compile(r"(?:sqlite[a-z0-9+]{0,40}:/{2,3}|file:)(/?[^?\s:]+)")
# Characters of a command that are looked through.
LONGEST_COMMAND = 4000
SQLITE_FILE = re.compile(r"/\S+\.(?:db|sqlite3?)")
# Downloaded again, or made again.
NOT_WORTH = re.compile(
    r"cache|models?|weights|checkpoints|hf|huggingface|logs?|te?mp|downloads|pgdata|ollama",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def proposals(project: Project) -> Iterator[Proposed]:
    backup = list(_backup(project))
    has_backup = any(isinstance(one, Proposal) and not one.suggested for one in backup)
    migrations = [name for name in project.compose.services if is_migration(project, name)]
    for name in migrations[:1]:
        reason = f"{project.where('services', name)}: {_why(project, name)}"
        value: dict[str, Value] = {"service": name}
        if not has_backup:
            value["without_backup"] = True
            reason += "; a backup before it would be better"
        yield Proposal(("migrate",), value, reason)
    for name in migrations[1:]:
        yield Note("migrate", f"{name} is named like a migration too; only one is possible here")
    for name, _ in project.services():
        if name not in migrations and MIGRATION.search(command_of(project, name)):
            where = project.where("services", name, "command")
            yield Note("migrate", f"{where}: {name} migrates by itself when it starts")
    yield from backup
    if has_backup:
        said = "without it only before a migration" if migrations else "without it there is none"
        yield Proposal(("backup", "every"), "daily", said)


def command_of(project: Project, name: str) -> str:
    """Entrypoint and command in one line."""
    service = project.raw(name)
    words: list[str] = []
    for key in ("entrypoint", "command"):
        value = service.get(key)
        words += map(str, value) if isinstance(value, list) else [str(value)] if value else []
    return " ".join(" ".join(words).split())[:LONGEST_COMMAND]


def is_migration(project: Project, name: str) -> bool:
    """A service that migrates a database, and ends."""
    restart = project.compose.services[name].restart
    if restart in ("always", "unless-stopped") or project.compose.services[name].ports:
        return False
    command = command_of(project, name)
    if SERVER.search(command) and not NAMES & words_of(name):
        return False
    return bool(NAMES & words_of(name) or MIGRATION.search(command))


def _why(project: Project, name: str) -> str:
    match = MIGRATION.search(command_of(project, name))
    return match[0].strip() if match else "named like a migration"


def _backup(project: Project) -> Iterator[Proposed]:
    kinds = dict(stores(project))
    databases: list[tuple[Value, str]] = []
    for name in (name for name, kind in kinds.items() if kind == "postgres"):
        database, where, is_known = _postgres(project, name)
        databases.append((database, where))
        if not is_known:
            said = f"{name} ({where}): which database and user is not known here; set both"
            yield Note("backup", said, todo=True)
    if databases:
        values, lines = zip(*databases, strict=True)
        said = f"{', '.join(lines)}: PostgreSQL"
        yield Proposal(("backup", "postgres"), tuple(values), said)
    files = dict(_sqlite(project))
    if files:
        yield Proposal(("backup", "sqlite"), tuple(files), ", ".join(dict.fromkeys(files.values())))
    yield from _paths(project, kinds, list(files))
    yield from _volumes(project, kinds)


def _postgres(project: Project, name: str) -> tuple[Value, str, bool]:
    """The database, where it was read, and whether its names are known."""
    given = project.environment(name)
    user = given.get("POSTGRES_USER") or given.get("POSTGRESQL_USERNAME") or "postgres"
    database = given.get("POSTGRES_DB") or given.get("POSTGRESQL_DATABASE") or user
    where = project.where_of(name, "POSTGRES_DB" if "POSTGRES_DB" in given else "")
    is_known = bool(NAME.fullmatch(user) and NAME.fullmatch(database))
    if not is_known:
        user, database = "postgres", "postgres"
    value: dict[str, Value] = {"service": name, "database": database}
    return (value if user == "postgres" else {**value, "user": user}), where, is_known


def _sqlite(project: Project) -> Iterator[tuple[str, str]]:
    """Files of SQLite in binds of data, by the environment."""
    for name, service in project.services():
        workdir = str(project.raw(name).get("working_dir") or "/app")
        for variable, value in project.environment(name).items():
            match = SQLITE.search(value)
            file = match[1] if match else value if SQLITE_FILE.fullmatch(value) else ""
            inside = posixpath.normpath(posixpath.join(workdir, file)) if file else ""
            for mount in service.mounts if inside else ():
                target = mount.target.rstrip("/")
                if is_of_source(mount.source) and (
                    inside == target or inside.startswith(f"{target}/")
                ):
                    path = posixpath.normpath(f"{mount.source}/{inside[len(target) :]}")
                    if (named := project.in_directory(path)) not in (None, "."):
                        yield str(named), project.where_of(name, variable)


def _paths(project: Project, kinds: Mapping[str, str], sqlite: list[str]) -> Iterator[Proposed]:
    paths, lines, of_stores = [], [], []
    for bind in data(project):
        path = project.in_directory(bind.path)
        if path is None:
            continue
        if bind.service in kinds:
            of_stores.append(f"{path} of {bind.service}")
        elif bind.mount.read_only:
            continue
        elif not NOT_WORTH.search(path) and not any(one.startswith(f"{path}/") for one in sqlite):
            paths.append(path)
            lines.append(bind.where)
    if paths:
        yield Proposal(("backup", "paths"), tuple(paths), ", ".join(lines))
    if of_stores:
        said = f"not in paths: {', '.join(of_stores)}: a copy of a running database is no backup"
        yield Note("backup", said)


def _volumes(project: Project, kinds: Mapping[str, str]) -> Iterator[Proposed]:
    """Volumes with data, once: gpuhost backs up databases and bind mounts."""
    found: dict[str, str] = {}
    for name, _ in project.services():
        mounts = project.raw(name).get("volumes") if kinds.get(name) != "postgres" else None
        for entry in mounts if isinstance(mounts, list) else ():
            if not isinstance(entry, str | Mapping):
                continue
            volume, target = _named(entry)
            if volume in project.compose.volumes and not NOT_WORTH.search(f"{volume}{target}"):
                found.setdefault(volume, name)
    if found:
        shown = ", ".join(f"{volume} of {service}" for volume, service in found.items())
        yield Note("backup", f"volumes are in no backup: {shown}")


def _named(entry: str | Mapping[str, object]) -> tuple[str, str]:
    """The volume and where it is mounted."""
    if isinstance(entry, str):
        return entry.partition(":")[0], volume_of(entry).target
    return str(entry.get("source")), str(entry.get("target"))
