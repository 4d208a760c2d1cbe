"""Restoring PostgreSQL: loaded into a second database, then exchanged by renaming."""

from __future__ import annotations

import pytest

from gpuhost.runner.data import backup, postgres
from gpuhost.runner.plan import Backup, Postgres
from gpuhost.runner.stages.restore import restore
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import Activation, activated, database
from tests.runner.running import Cut

__all__ = ["activated", "app", "programs"]

DATABASE = Backup(postgres=(Postgres("db", "shop", "ada"),))


class Postgresql:
    """A fake PostgreSQL with a list of databases."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        programs.answer("docker ps * running *")
        programs.answer("docker ps *", "0ddb0y db\nc0ffee web\n")
        programs.answer("docker ps -a *", "0ddb0y running False\n")
        programs.answer("docker exec 0ddb0y pg_dump *", "PGDMP then")
        programs.answer("docker exec 0ddb0y psql *", "4096\n")
        self.sql = programs.directory / "sql"
        self.set_databases("postgres", "shop")

    def set_databases(self, *databases: str) -> None:
        output = "\n".join(databases) + "\n"
        self.programs.answer("docker exec -i 0ddb0y psql *", output, then=f"cat >>{self.sql}")

    @property
    def statements(self) -> list[str]:
        lines = self.sql.read_text().splitlines() if self.sql.exists() else []
        words = ("CREATE", "DROP", "ALTER")
        return [line for line in lines if any(word in line for word in words)]


def test_a_database_is_loaded_beside_the_old_one_and_renamed(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec -i 0ddb0y pg_restore *", then="cat >/dev/null")
    assert restore(app.paths, name, "ada").state == "verified"
    assert [line.split()[0] for line in postgresql.statements] == [
        "DROP",
        "SELECT",
        "ALTER",
        "ALTER",
    ]
    stopped = programs.called("docker stop")
    assert stopped == ["docker stop -t 30 c0ffee"]
    restored = programs.called("pg_restore")[1:]  # The first one read the new dump.
    assert "--single-transaction --exit-on-error" in restored[0]
    assert programs.calls.index(restored[0]) < programs.calls.index(stopped[0])


def test_interrupted_after_verification_a_restore_only_cleans_up(
    app: App, programs: Programs, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec -i 0ddb0y pg_restore *", then="cat >/dev/null")
    aside = postgres.Server("", "shop", "", release.log).aside
    with monkeypatch.context() as patched:
        patched.setattr(postgres.Server, "dump", _cut)
        postgresql.set_databases("shop", aside)
        patched.setattr(
            postgres.Server, "has", lambda self, name: name == aside and bool(activated.seen)
        )
        with pytest.raises(Cut):
            restore(app.paths, name, "ada")
    ended = restore(app.paths, name, "ada")
    assert (ended.state, len(activated.seen)) == ("verified", 1)
    assert postgresql.statements[-1] == f'DROP DATABASE IF EXISTS "{aside}";'
    kept = [path.read_text() for path in app.paths.backups.glob("before-restore-*/*.dump")]
    assert kept == ["PGDMP then"]


def _cut(*_: object, **__: object) -> None:
    raise Cut


def test_a_dump_that_cannot_be_read_changes_nothing(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec -i 0ddb0y pg_restore *", status=1, err="pg_restore: too short\n")
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.output) == ("failed", ("pg_restore: too short",))
    assert (activated.seen, programs.called("docker stop")) == ([], [])


def test_a_database_that_an_earlier_restore_left_is_dumped_before_it_is_dropped(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec -i 0ddb0y pg_restore *", then="cat >/dev/null")
    aside = postgres.Server("", "shop", "", release.log).aside
    postgresql.set_databases("shop", aside)
    assert restore(app.paths, name, "ada").state == "verified"
    (kept,) = app.paths.backups.glob(f"before-restore-*/db.{aside}.earlier.dump")
    assert kept.read_text() == "PGDMP then"
    dumped = programs.calls.index(
        next(line for line in programs.called("pg_dump") if aside in line)
    )
    restored = programs.calls.index(programs.called("--single-transaction")[0])
    assert dumped < restored
    assert postgresql.statements[0] == f'DROP DATABASE IF EXISTS "{aside}";'
