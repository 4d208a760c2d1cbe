"""Dumps and restores PostgreSQL databases in containers of the app.

Containers are found by Compose's labels: the files of the new release may differ from what runs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gpuhost.runner.data import stored
from gpuhost.runner.lib.commands import run, stream, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.room import Room
from gpuhost.runner.plan import Postgres

QUICK = 60
# A container answers as it likes.
SIZE = re.compile(r"[0-9]{1,18}")
# The beginning of a pg_dump -Fc file.
MAGIC = b"PGDMP"
# One exchange at a time: what `docker exec` runs goes on in the container after its end. It ends
# by itself before that has no time left. The number is that of a lock that nobody else takes.
ALONE = "SET statement_timeout = '60s';\nSELECT pg_advisory_lock(4873201766);\n"
LIST = "SELECT datname FROM pg_database;\n"
END_LOADING = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = :'beside' AND application_name = 'pg_restore';\n"
)
# A database with connections cannot be renamed.
DISCONNECT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname IN (:'used', :'beside', :'aside') AND pid <> pg_backend_pid();\n"
)
# What pg_restore prints; rules of a locale can have several lines.
CREATE = re.compile(r"^(CREATE DATABASE .*?;\n)", re.MULTILINE | re.DOTALL)
CONNECT = re.compile(r"^\\connect .*\n", re.MULTILINE)
# Of a dump, only what belongs to the database itself: nothing is in this schema.
NO_SCHEMA = "gpuhost_none"
# A database can be renamed only from another one; this one always exists.
OTHER_DATABASE = "template1"
# Size, used and free in KiB, then the percentage used.
DISK_FREE = re.compile(r" (\d{1,15}) +\d{1,15} +(\d{1,15}) +\d{1,3}% ")
FORMAT = '{{.ID}} {{.State}} {{.Label "com.docker.compose.oneoff"}}'


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL container, and one of its databases."""

    container: str
    database: str
    user: str
    log: Log

    @property
    def name(self) -> str:
        return f"PostgreSQL database {self.database}"

    def dump(self, target: Path, seconds: float, database: str = "") -> None:
        """Run pg_dump -Fc into a new file, and read it from the disk to its end.

        + seconds: for both

        Raises Failure; then there is no file.
        """
        deadline = time.monotonic() + seconds
        words = self._words("pg_dump", "-w", "-Fc", "-U", self.user, database or self.database)
        stored.require_room(target)
        stream(
            self.log,
            *words,
            seconds=seconds,
            what=f"pg_dump of {self.name}",
            target=target,
            room=stored.room(target),
        )
        try:
            stored.settle(target)
            self._verify(target, max(1.0, deadline - time.monotonic()))
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _verify(self, dump: Path, seconds: float) -> None:
        """The list of its content is at its beginning: only reading all of it finds a cut."""
        with dump.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise Failure(f"{self.name}: the output of pg_dump is not a dump")
        words = self._words("pg_restore", "-f", "/dev/null", stdin=True)
        what = f"reading the dump of {self.name} (pg_restore)"
        stream(self.log, *words, seconds=seconds, what=what, source=dump)

    def bytes(self) -> int:
        """The size of the database on its disk; 0 if unknown."""
        words = self._words("psql", "-XwAtq", "-U", self.user, "-d", self.database)
        query = "SELECT pg_database_size(current_database())"
        outcome = try_run(self.log, *words, "-c", query, seconds=QUICK, quiet=True)
        digits = outcome.out.strip()
        return int(digits) if outcome.ok and SIZE.fullmatch(digits) else 0

    def room(self) -> Room | None:
        """On the disk of its data: a volume of the engine, or a mount. None: unknown."""
        words = self._words("psql", "-XwAtq", "-U", self.user, "-d", OTHER_DATABASE)
        asked = try_run(self.log, *words, "-c", "SHOW data_directory", seconds=QUICK, quiet=True)
        directory = asked.out.strip()
        if not asked.ok or not directory.startswith("/"):
            return None
        words = self._words("df", "-Pk", directory)
        outcome = try_run(self.log, *words, seconds=QUICK, quiet=True)
        match = DISK_FREE.search(outcome.out) if outcome.ok else None
        return Room(int(match[1]) * 1024, int(match[2]) * 1024) if match else None

    def fill_beside(self, dump: Path, seconds: float) -> None:
        """Restore a dump into a new database beside the one in use.

        Raises Failure; then a part of it may be there.
        """
        self.drop(self.beside)
        create, properties = self._statements(dump, seconds)
        if not self.has(self.database):
            self.log.write(f"{self.name} is missing: an empty one is made, to be exchanged")
            self._sql(create, "creating it")
        self._sql(self._of_beside(create), "creating a database beside it")
        words = self._words(
            *("pg_restore", "-w", "-U", self.user, "-d", self.beside),
            *("--single-transaction", "--exit-on-error"),
            stdin=True,
        )
        what = f"pg_restore of {self.name}"
        stream(self.log, *words, seconds=seconds, what=what, source=dump)
        # Not before: they can make it read-only.
        self._apply(self._of_beside(properties))

    def _apply(self, properties: str) -> None:
        """What is refused is told: a role that this server lacks is no reason to lose the data."""
        what = f"{self.name}: its settings and privileges"
        outcome = try_run(self.log, *self._psql(0), seconds=QUICK * 5, stdin=properties, quiet=True)
        outcome.require_ok(what, QUICK * 5)
        refused = [line.partition("ERROR:")[2].strip() for line in outcome.err if "ERROR:" in line]
        if refused:
            self.log.loud(
                f"warning: {what} are restored in part: {'; '.join(refused)}",
                "create the roles that are missing, and restore again, or set them by hand",
            )

    def _statements(self, dump: Path, seconds: float) -> tuple[str, str]:
        """The one that creates a dumped database, and those for what belongs to the database
        itself: owner, settings, privileges.
        """
        words = self._words(
            *("pg_restore", "-f", "-", "--create", "--no-tablespaces"),
            f"--schema={NO_SCHEMA}",
            stdin=True,
        )
        what = f"reading the properties in the dump of {self.name} (pg_restore)"
        text = stream(self.log, *words, seconds=seconds, what=what, source=dump)
        match = CREATE.search(text)
        if match is None:
            raise Failure(f"the dump of {self.name} does not say how it was created")
        return match[1], CONNECT.sub("", text[: match.start()] + text[match.end() :])

    def _of_beside(self, statements: str) -> str:
        """Each names the database once, before any value."""
        name = f"{re.escape(self.database)}|{re.escape(_quoted(self.database))}"
        return re.sub(
            rf"^((?:CREATE|ALTER|COMMENT|GRANT|REVOKE|SECURITY)\b.*? DATABASE )(?:{name})(?=[ ;])",
            lambda match: match[1] + _quoted(self.beside),
            statements,
            flags=re.MULTILINE,
        )

    def swap(self, begin: Callable[[], None]) -> None:
        """Rename the database in use aside, and the new one to its name. Again: no change.

        + begin: called before the change
        """
        if self.has(self.aside):
            if self.has(self.beside):
                raise Failure(
                    f"{self.name} is not exchanged: somebody has created {self.aside} meanwhile",
                    fix="rename that database, and restore again",
                )
            return
        begin()
        self._sql(
            ALONE
            + DISCONNECT
            + 'BEGIN;\nALTER DATABASE :"used" RENAME TO :"aside";\n'
            + 'ALTER DATABASE :"beside" RENAME TO :"used";\nCOMMIT;\n',
            "putting the restored database in place",
        )

    def swap_back(self) -> None:
        """Undo `swap`. Without it: no change."""
        if not self.has(self.aside):
            return
        self._sql(
            ALONE
            + DISCONNECT
            + 'BEGIN;\nALTER DATABASE :"used" RENAME TO :"beside";\n'
            + 'ALTER DATABASE :"aside" RENAME TO :"used";\nCOMMIT;\n',
            "restoring the previous database",
        )

    def drop(self, database: str) -> None:
        # Ending a restore ends `docker exec`, but not yet what it runs in the container.
        self._sql(
            END_LOADING + f"DROP DATABASE IF EXISTS {_quoted(database)};\n",
            f"dropping {database}",
        )

    @property
    def beside(self) -> str:
        return f"gpuhost_restored_{self._short}"

    @property
    def aside(self) -> str:
        return f"gpuhost_before_{self._short}"

    @property
    def _short(self) -> str:
        # PostgreSQL truncates names to 63 bytes.
        return sha256(self.database.encode()).hexdigest()[:10]

    def has(self, database: str) -> bool:
        """After the end of an exchange whose `docker exec` was ended."""
        return database in self._sql(ALONE + LIST, "listing databases").split("\n")

    def _psql(self, stops: int) -> tuple[str, ...]:
        """+ stops: 1: at the first error, with a status"""
        return self._words(
            *("psql", "-XwAtq", "-v", f"ON_ERROR_STOP={stops}"),
            *("-U", self.user, "-d", OTHER_DATABASE, "-v", f"used={self.database}"),
            *("-v", f"beside={self.beside}", "-v", f"aside={self.aside}"),
            stdin=True,
        )

    def _sql(self, text: str, what: str) -> str:
        return run(
            self.log,
            *self._psql(1),
            seconds=QUICK * 5,
            what=f"{self.name}: {what}",
            stdin=f"SET client_min_messages = warning;\n{text}",
            quiet=True,
        )

    def _words(self, *words: str, stdin: bool = False) -> tuple[str, ...]:
        return ("docker", "exec", *(("-i",) if stdin else ()), self.container, *words)


def find_server(log: Log, project: str, declared: Postgres) -> Server | None:
    """The running container of a database; None if the project has no such container.

    Raises Failure if the container does not run.
    """
    labels = {"project": project, "service": declared.service}
    filters = (f"label=com.docker.compose.{key}={value}" for key, value in labels.items())
    listed = run(
        log,
        *("docker", "ps", "-a", "--no-trunc", "--format", FORMAT),
        *(word for text in filters for word in ("--filter", text)),
        seconds=QUICK,
        what="docker ps",
        quiet=True,
    )
    containers = list(_containers(listed.splitlines()))
    running = [container for container, state in containers if state == "running"]
    if running:
        return Server(running[0], declared.database, declared.user, log)
    if containers:
        raise Failure(
            f"{declared.service} is {containers[0][1]}: its database cannot be read",
            fix=f"run docker start {containers[0][0][:12]}; docker logs shows why it stopped",
        )
    return None


def _containers(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        container, state, *one_off = line.split()
        if one_off != ["True"]:
            yield container, state


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
