"""Restoring PostgreSQL: filled beside what is there, swapped by name."""

from __future__ import annotations

import pytest

from gpuhost.runner.data import backup, postgres
from gpuhost.runner.plan import Backup, Postgres
from gpuhost.runner.stages.restore import restore
from tests.runner.at_hand import NEW, App, Programs, app, programs
from tests.runner.restore_at_hand import Activation, Cut, activated, database

__all__ = ["activated", "app", "programs"]

DATABASE = Backup(postgres=(Postgres("db", "shop", "ada"),))


class Postgresql:
    """A stand-in that knows which databases there are."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        programs.answer("docker ps * running *")
        programs.answer("docker ps *", "0ddb0y db\nc0ffee web\n")
        programs.answer("docker ps -a *", "0ddb0y running False\n")
        programs.answer("docker exec 0ddb0y pg_dump *", "PGDMP then")
        programs.answer("docker exec 0ddb0y psql *", "4096\n")
        self.sql = programs.directory / "sql"
        self.there("postgres", "shop")

    def there(self, *databases: str) -> None:
        known = "\n".join(databases) + "\n"
        self.programs.answer("docker exec -i 0ddb0y psql *", known, then=f"cat >>{self.sql}")

    @property
    def statements(self) -> list[str]:
        lines = self.sql.read_text().splitlines() if self.sql.exists() else []
        words = ("CREATE", "DROP", "ALTER")
        return [line for line in lines if any(word in line for word in words)]


def test_a_database_is_filled_beside_and_swapped_by_name(
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
    restored = programs.called("pg_restore")
    assert "--single-transaction --exit-on-error" in restored[0]
    assert programs.calls.index(restored[0]) < programs.calls.index(stopped[0])


def test_cut_off_after_it_was_verified_it_only_clears_up(
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
        postgresql.there("shop", aside)
        patched.setattr(postgres.Server, "has_aside", lambda self: bool(activated.seen))
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
