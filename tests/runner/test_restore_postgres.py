"""Restoring PostgreSQL: loaded into a second database, then exchanged by renaming."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gpuhost.runner.contract import RESTORE, Operation
from gpuhost.runner.data import backup, postgres
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Postgres
from gpuhost.runner.stages.restore import restore
from gpuhost.runner.state import abort_request
from gpuhost.runner.state.operations import begin, begun
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import Activation, activated, database
from tests.runner.running import Cut

__all__ = ["activated", "app", "programs"]

DATABASE = Backup(postgres=(Postgres("db", "shop", "ada"),))


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.05)


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


# What `pg_restore --create` prints of a database without its content.
PROPERTIES = r"""
\restrict tCLX
SET client_min_messages = warning;
-- Name: shop; Type: DATABASE; Schema: -; Owner: ada
CREATE DATABASE shop WITH TEMPLATE = template0 LOCALE_PROVIDER = icu ICU_LOCALE = 'de-AT';
ALTER DATABASE shop OWNER TO ada;
\unrestrict tCLX
\connect shop
\restrict tCLX
ALTER DATABASE shop CONNECTION LIMIT = 7;
ALTER DATABASE shop SET default_transaction_read_only TO 'on';
ALTER ROLE bob IN DATABASE "shop" SET work_mem TO ' DATABASE shop ';
REVOKE CONNECT,TEMPORARY ON DATABASE shop FROM PUBLIC;
GRANT CREATE ON DATABASE shop TO bob;
"""


def can_load(programs: Programs, then: str = "cat >/dev/null") -> None:
    programs.answer("docker exec -i 0ddb0y pg_restore *", then=then)
    programs.answer("docker exec -i 0ddb0y pg_restore * --create *", PROPERTIES)


def with_a_backup(app: App, programs: Programs) -> tuple[Postgresql, str]:
    """A release with a database, and the name of its backup, which can be loaded."""
    database(app, "now")
    postgresql = Postgresql(programs)
    name = backup.backup(app.release(NEW, backup=DATABASE, is_current=True), "schedule")
    can_load(programs, then="cat >/dev/null")
    return postgresql, name


def test_a_database_is_loaded_beside_the_old_one_and_renamed(
    app: App, programs: Programs, activated: Activation
) -> None:
    postgresql, name = with_a_backup(app, programs)
    assert restore(app.paths, name, "ada").state == "verified"
    assert [line.split()[0] for line in postgresql.statements] == [
        "DROP",
        "CREATE",
        *["ALTER"] * 4,
        "GRANT",
        "ALTER",
        "ALTER",
    ]
    stopped = programs.called("docker stop")
    assert stopped == ["docker stop -t 30 c0ffee"]
    restored = programs.called("pg_restore")[2:]  # The others read the dump.
    assert "--single-transaction --exit-on-error" in restored[0]
    assert programs.calls.index(restored[0]) < programs.calls.index(stopped[0])


def test_what_belongs_to_the_database_itself_is_restored_after_its_content(
    app: App, programs: Programs, activated: Activation
) -> None:
    postgresql, name = with_a_backup(app, programs)
    can_load(programs, f"echo loaded >>{postgresql.sql}; cat >/dev/null")
    assert restore(app.paths, name, "ada").state == "verified"
    sql = postgresql.sql.read_text()
    lines = [line for line in PROPERTIES.splitlines() if not line.startswith("\\connect")]
    named = f'DATABASE "{postgres.Server("", "shop", "", Release.open(app.paths, NEW).log).beside}"'
    create, *properties = (
        re.sub(r'DATABASE "?shop"?(?= )', named, line, count=1)
        for line in lines
        if "DATABASE shop " in line or 'DATABASE "shop"' in line
    )
    before, after = sql.split("loaded\n")
    assert create in before
    assert [line for line in after.splitlines() if named in line] == properties
    assert "DATABASE shop " not in sql.replace(properties[3], "")


def test_a_privilege_that_the_server_refuses_costs_no_data(
    app: App, programs: Programs, activated: Activation
) -> None:
    _, name = with_a_backup(app, programs)
    said = 'psql:<stdin>:9: ERROR:  role "gone" does not exist\n'
    programs.answer("docker exec -i 0ddb0y psql * ON_ERROR_STOP=0 *", err=said, then="cat >&-")
    assert restore(app.paths, name, "ada").state == "verified"
    logged = "".join(log.read_text() for log in app.paths.home.rglob("log*") if log.is_file())
    assert 'are restored in part: role "gone" does not exist' in logged
    assert "create the roles that are missing" in logged


def test_a_database_that_was_dropped_is_created_first(
    app: App, programs: Programs, activated: Activation
) -> None:
    postgresql, name = with_a_backup(app, programs)
    postgresql.set_databases("postgres")
    assert restore(app.paths, name, "ada").state == "verified"
    assert postgresql.statements[1].startswith("CREATE DATABASE shop WITH TEMPLATE")
    assert postgresql.statements[2].startswith('CREATE DATABASE "gpuhost_restored_')


def test_interrupted_after_verification_a_restore_only_cleans_up(
    app: App, programs: Programs, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql, name = with_a_backup(app, programs)
    aside = postgres.Server("", "shop", "", Release.open(app.paths, NEW).log).aside
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
    postgresql, name = with_a_backup(app, programs)
    aside = postgres.Server("", "shop", "", Release.open(app.paths, NEW).log).aside
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


def test_the_space_on_the_disk_of_the_server_is_looked_at(
    app: App, programs: Programs, activated: Activation
) -> None:
    """Wherever the engine, or a mount, has its data."""
    database(app, "now")
    Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec 0ddb0y psql * SHOW data_directory", "/var/lib/postgresql/data\n")
    row = "/dev/vdb1 20511312 19395244 61440 99% /var/lib/postgresql/data\n"
    programs.answer("docker exec 0ddb0y df -Pk /var/lib/postgresql/data", f"Filesystem …\n{row}")
    ended = restore(app.paths, name, "ada")
    assert (ended.state, activated.seen) == ("failed", [])
    assert "60 MB free on the disk of the data of PostgreSQL database shop" in ended.said


@pytest.mark.parametrize("answer", ["", "df: /x: Permission denied\n", "no numbers 1 2 3% /\n"])
def test_a_server_that_does_not_tell_its_space_is_restored(
    app: App, programs: Programs, activated: Activation, answer: str
) -> None:
    database(app, "now")
    Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    programs.answer("docker exec 0ddb0y psql * SHOW data_directory", "/data\n")
    programs.answer("docker exec 0ddb0y df *", answer)
    can_load(programs, then="cat >/dev/null")
    assert restore(app.paths, name, "ada").state == "verified"


def test_of_two_databases_none_stays_beside_if_the_second_cannot_be_loaded(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    declared = Backup(postgres=(*DATABASE.postgres, Postgres("db", "other", "ada")))
    release = app.release(NEW, backup=declared, is_current=True)
    name = backup.backup(release, "schedule")
    other = postgres.Server("", "other", "", release.log).beside
    can_load(programs, then="cat >/dev/null")
    programs.answer(f"docker exec -i 0ddb0y pg_restore * -d {other} *", status=1)
    assert restore(app.paths, name, "ada").state == "failed"
    shop = postgres.Server("", "shop", "", release.log).beside
    assert postgresql.statements[-2:] == [
        f'DROP DATABASE IF EXISTS "{beside}";' for beside in (shop, other)
    ]


def test_nothing_stays_beside_after_an_abort(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    begin(app.paths, Operation(RESTORE, name, "ada", 0.0))
    loading = programs.directory / "loading"
    wait = f"touch {loading}; exec sleep 20"
    can_load(programs, then=f"cat >/dev/null; {wait}")
    with when(loading.exists, lambda: _request_abort(app)):
        ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.aborted_by, activated.seen) == ("failed", "bo", [])
    beside = postgres.Server("", "shop", "", release.log).beside
    assert postgresql.statements[-1] == f'DROP DATABASE IF EXISTS "{beside}";'


def test_an_abort_waits_for_the_exchange_and_undoes_it(
    app: App, programs: Programs, activated: Activation
) -> None:
    """Ending `docker exec` would not end what PostgreSQL does."""
    database(app, "now")
    postgresql = Postgresql(programs)
    release = app.release(NEW, backup=DATABASE, is_current=True)
    name = backup.backup(release, "schedule")
    begin(app.paths, Operation(RESTORE, name, "ada", 0.0))
    can_load(programs, then="cat >/dev/null")
    aside = postgres.Server("", "shop", "", release.log).aside
    here = programs.directory
    exchange = (
        f"cat >{here}/in; cat {here}/in >>{postgresql.sql}; if [ -e {here}/done ]; then echo "
        f"{aside}; elif grep -q 'RENAME TO :\"aside\"' {here}/in; then touch {here}/begun; "
        f"while ! [ -e {here}/asked ]; do sleep 0.1; done; sleep 0.3; touch {here}/done; fi"
    )
    programs.answer("docker exec -i 0ddb0y psql *", "postgres\nshop\n", then=exchange)

    def ask() -> None:
        _request_abort(app)
        (here / "asked").touch()

    with when((here / "begun").exists, ask):
        ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.aborted_by) == ("restored", "bo")
    assert postgresql.statements[-2:] == [
        'ALTER DATABASE :"used" RENAME TO :"beside";',
        'ALTER DATABASE :"aside" RENAME TO :"used";',
    ]


@contextmanager
def when(has_come: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Act in another thread, once something has come."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.05):
            if has_come():
                act()
                return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _request_abort(app: App) -> None:
    operation = begun(app.paths)
    assert operation is not None
    abort_request.request(app.paths, operation, "bo")


def test_files_are_moved_back_also_if_the_server_does_not_start(
    app: App, programs: Programs, activated: Activation
) -> None:
    database(app, "now")
    postgresql = Postgresql(programs)
    app.data("settings.json", "then")
    declared = Backup(postgres=DATABASE.postgres, paths=("settings.json",))
    release = app.release(NEW, backup=declared, is_current=True)
    name = backup.backup(release, "schedule")
    app.data("settings.json", "now")
    can_load(programs, then="cat >/dev/null")
    # As it is stopped for the undo.
    up = f"if [ -e {programs.directory}/broken ]; then exit 1; fi"
    programs.answer("docker compose * up *", then=up)
    activated.wrong = [Failure("web: exited with 1")]
    stop = f"! grep -q 'ALTER DATABASE' {postgresql.sql} || touch {programs.directory}/broken"
    programs.answer("docker stop *", then=stop)
    ended = restore(app.paths, name, "ada")
    assert ended.state == "restore-failed"
    assert (app.paths.shared / "settings.json").read_text() == "now"
    programs.answer("docker compose * up *")
    assert restore(app.paths, name, "ada").state == "restored"


def test_a_database_that_the_app_creates_under_the_name_of_the_previous_one(
    app: App, programs: Programs, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not pass for one that is exchanged already."""
    postgresql, name = with_a_backup(app, programs)
    monkeypatch.setattr(postgres.Server, "has", lambda self, name: bool(programs.called("stop")))
    ended = restore(app.paths, name, "ada")
    assert "is not exchanged: somebody has created gpuhost_before_" in ended.said
    assert (ended.state, activated.seen) == ("restored", ["now"])
    assert not [line for line in postgresql.statements if "RENAME" in line]
