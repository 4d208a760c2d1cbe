"""Restoring data: read back as it was, what was there kept, and undone if the app is not good."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from gpuhost.runner import (
    activation,
    backup,
    exchange,
    lock,
    postgres,
    restore_stage,
    result,
    stored,
)
from gpuhost.runner.failure import Failure
from gpuhost.runner.files import write
from gpuhost.runner.follow import follow
from gpuhost.runner.plan import Backup, Directory, Migrate, Postgres
from gpuhost.runner.release import Release
from gpuhost.runner.restore_data import paths, restore
from gpuhost.runner.result import Result
from tests.runner.at_hand import ME, NEW, App, Programs, app, programs

__all__ = ["app", "programs"]

DB = "data/app.db"
ALL = Backup(sqlite=(DB,), paths=("public/audio", "settings.json"))
EVERYTHING = Backup(sqlite=(DB,), paths=("data", "settings.json"))


class Cut(BaseException):
    """The runner is killed."""


class Activation:
    """How often the release was put in place, and what the data was then."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: list[str] = []
        self.wrong: list[Exception] = []

    def activate(self, release: Release) -> None:
        self.seen.append(said(self.app))
        if self.wrong:
            raise self.wrong.pop(0)


@pytest.fixture
def activated(app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Activation:
    programs.answer("docker ps *", "c0ffee web\n0ddb0y db\n")
    made = Activation(app)
    monkeypatch.setattr(activation, "activate", made.activate)
    return made


def database(app: App, text: str, *, wal: bool = False) -> None:
    """The row that is the app's data; left in the write-ahead log as after a crash if so wanted."""
    path = app.paths.shared / DB
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode=wal")
        opened.execute("CREATE TABLE IF NOT EXISTS said (text TEXT)")
        opened.execute("DELETE FROM said")
        opened.execute("INSERT INTO said VALUES (?)", (text,))
        opened.commit()
        if wal:
            for ending in ("", "-wal"):
                shutil.copy(f"{path}{ending}", f"{path}{ending}.kept")
    if wal:
        for ending in ("", "-wal"):
            Path(f"{path}{ending}.kept").rename(f"{path}{ending}")


def said(app: App) -> str:
    with closing(sqlite3.connect(app.paths.shared / DB)) as opened:
        return str(opened.execute("SELECT text FROM said").fetchone()[0])


def a_backup(app: App, declared: Backup = ALL, **plan: object) -> str:
    """An app that runs, its backup, and what happened to its data since."""
    database(app, "then")
    app.data("public/audio/then.mp3", "then")
    app.data("settings.json", "then")
    release = app.release(NEW, backup=declared, is_current=True, **plan)
    name = backup.backup(release, "schedule")
    (app.paths.shared / "public/audio/then.mp3").unlink()
    app.data("public/audio/now.mp3", "now")
    app.data("settings.json", "now")
    database(app, "now", wal=True)
    return name


def state(app: App) -> tuple[str, list[str], str]:
    shared = app.paths.shared
    audio = sorted(path.name for path in (shared / "public/audio").iterdir())
    return said(app), audio, (shared / "settings.json").read_text()


THEN = ("then", ["then.mp3"], "then")
NOW = ("now", ["now.mp3"], "now")


def left_over(app: App) -> list[str]:
    """What a restore leaves of its own work; what it has set aside is no such thing."""
    shared = app.paths.shared
    found = [str(path.relative_to(shared)) for path in shared.rglob(".gpuhost*")]
    return found + (["restore"] if (app.paths.home / "restore").exists() else [])


def set_aside(app: App) -> list[str]:
    homes = list(app.paths.backups.glob("before-restore-*"))
    return sorted(path.name for home in homes for path in home.glob("*/*"))


def test_the_data_is_as_it_was_and_what_was_there_is_kept(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app)
    ended = restore(app.paths, name, "ada@desk")
    assert (ended.state, ended.by, ended.id) == ("verified", "ada@desk", name)
    assert state(app) == THEN
    assert activated.seen == ["then"]
    assert set_aside(app) == ["app.db", "app.db-wal", "audio", "settings.json"]
    assert left_over(app) == []
    assert programs.called("docker stop") == ["docker stop -t 30 c0ffee 0ddb0y"]


def test_the_result_lies_beside_the_backup_and_in_the_history(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    ended = restore(app.paths, name, "ada@desk")
    assert result.read(paths(app.paths, name).result) == ended
    audited = json.loads(app.paths.history.read_text())
    assert (audited["kind"], audited["state"], audited["backup"]) == ("restore", "verified", name)
    assert f"verified, with the data of {name}" in paths(app.paths, name).log.read_text()
    assert [one.name for one in stored.good(app.paths)] == [name]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_owners_and_modes_come_back(app: App, activated: Activation) -> None:
    database(app, "then")
    file = app.data("public/audio/then.mp3", "then")
    for path, owner, mode in (
        (app.paths.shared / DB, 1001, 0o600),
        (file, 1002, 0o640),
        (file.parent, 1003, 0o2750),
    ):
        os.chown(path, owner, owner)
        path.chmod(mode)
    app.data("settings.json")
    release = app.release(NEW, backup=ALL, is_current=True)
    name = backup.backup(release, "schedule")
    shutil.rmtree(app.paths.shared)
    assert restore(app.paths, name, "ada").state == "verified"
    found = {}
    for path in (app.paths.shared / DB, file, file.parent):
        its = path.stat()
        found[path.name] = (its.st_uid, its.st_gid, its.st_mode & 0o7777)
    assert found == {
        "app.db": (1001, 1001, 0o600),
        "then.mp3": (1002, 1002, 0o640),
        "audio": (1003, 1003, 0o2750),
    }


def test_data_that_is_gone_altogether_comes_back(app: App, activated: Activation) -> None:
    name = a_backup(app, directories=(Directory("public", ME, "0711"),))
    shutil.rmtree(app.paths.shared)
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN
    assert (app.paths.shared / "public").stat().st_mode & 0o777 == 0o711


def test_a_database_in_a_directory_that_is_restored_as_well(
    app: App, activated: Activation
) -> None:
    app.data("data/other", "then")
    name = a_backup(app, EVERYTHING)
    app.data("data/other", "now")
    assert restore(app.paths, name, "ada").state == "verified"
    assert said(app) == "then"
    assert (app.paths.shared / "data/other").read_text() == "then"
    assert set_aside(app) == ["data", "settings.json"]


def test_a_directory_behind_a_persons_link_is_exchanged_where_it_is(
    app: App, activated: Activation, tmp_path: Path
) -> None:
    (tmp_path / "disk/models").mkdir(parents=True)
    (tmp_path / "disk/models/then").touch()
    app.paths.shared.mkdir()
    (app.paths.shared / "models").symlink_to(tmp_path / "disk/models")
    database(app, "then")
    release = app.release(NEW, backup=Backup(paths=("models",)), is_current=True)
    name = backup.backup(release, "schedule")
    (tmp_path / "disk/models/then").rename(tmp_path / "disk/models/now")
    assert restore(app.paths, name, "ada").state == "verified"
    assert (app.paths.shared / "models").is_symlink()
    assert [path.name for path in (tmp_path / "disk/models").iterdir()] == ["then"]


def test_data_on_another_disk_is_set_aside_on_that_disk(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    monkeypatch.setattr(exchange, "_same_disk", lambda one, other: False)
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN
    kept = sorted(path.name for path in app.paths.shared.rglob(".gpuhost-before-restore-*/*"))
    assert kept == ["app.db", "app.db-wal", "audio", "settings.json"]
    assert list(app.paths.shared.rglob(".gpuhost-restore-*")) == []


def test_the_migration_of_what_runs_brings_older_data_up_to_date(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app, migrate=Migrate("migrate"))
    programs.compose({"migrate": {}})
    programs.answer("docker container inspect *", status=1)
    assert restore(app.paths, name, "ada").state == "verified"
    assert len(programs.called(" run --rm ")) == 1


BAD = Failure("web: exited with 1", output=("no such column",), fix="look at it")


def test_an_app_that_is_not_good_with_it_gets_its_data_back(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD]
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.restored, ended.said) == ("restored", NEW, BAD.said)
    assert (ended.output, ended.fix) == (BAD.output, BAD.fix)
    assert activated.seen == ["then", "now"]
    assert (state(app), left_over(app), set_aside(app)) == (NOW, [], [])


def test_an_app_that_is_not_good_with_either_is_said_loudly_and_can_be_tried_again(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    activated.wrong = [BAD, Failure("db is gone")]
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.said, ended.restore_said) == (
        "restore-failed",
        BAD.said,
        "db is gone",
    )
    assert "DID NOT COME BACK: db is gone" in paths(app.paths, name).log.read_text()
    other = restore(app.paths, "20260101-000000-schedule", "ada")
    assert (other.state, name in other.said) == ("failed", True)
    assert restore(app.paths, name, "ada").state == "restored"
    assert (state(app), left_over(app)) == (NOW, [])


def test_a_failed_migration_is_undone_too(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app, migrate=Migrate("migrate"))
    programs.compose({"migrate": {}})
    programs.answer("docker container inspect *", status=1)
    programs.answer("docker compose * run *", status=1)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app)) == ("restored", NOW)
    assert "migration" in ended.said


def damaged(app: App, name: str) -> None:
    next((app.paths.backups / name).glob("*.tar.gz")).write_text("damaged")


def without_release(app: App, name: str) -> None:
    app.paths.current.unlink()


def with_a_link(app: App, name: str) -> None:
    (app.paths.shared / "settings.json").unlink()
    (app.paths.shared / "settings.json").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, "damaged or missing"),
        (without_release, "no verified release"),
        (with_a_link, "not followed"),
    ],
)
def test_what_cannot_be_restored_changes_nothing(
    app: App, programs: Programs, activated: Activation, spoil: object, words: str
) -> None:
    name = a_backup(app)
    spoil(app, name)  # type: ignore[operator]
    ended = restore(app.paths, name, "ada")
    assert ended.state == "failed"
    assert words in ended.said
    assert (activated.seen, programs.called("docker stop"), left_over(app)) == ([], [], [])
    assert said(app) == "now"


def test_a_full_disk_is_said_before_anything_is_laid_out(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(restore_stage.RESERVE))
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.said[:19], state(app)) == ("failed", "no room to restore:", NOW)


def test_a_mount_point_is_refused(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    mounted = app.paths.shared / "public/audio"
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == mounted)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, "is a mount point" in ended.said, state(app)) == ("failed", True, NOW)


def test_an_unknown_backup_changes_nothing(app: App, activated: Activation) -> None:
    a_backup(app)
    ended = restore(app.paths, "../../etc", "ada")
    assert (ended.state, "has no backup '../../etc'" in ended.said) == ("failed", True)
    assert state(app) == NOW
    assert not (app.paths.home.parent / "etc").exists()


def test_it_is_followed_by_the_name_of_its_backup(
    app: App, activated: Activation, capsys: pytest.CaptureFixture[str]
) -> None:
    name = a_backup(app)
    restore(app.paths, name, "ada")
    follow(app.paths, name, 0, 0)
    answer, *lines = capsys.readouterr().out.splitlines()
    told = json.loads(answer)
    assert (told["state"], told["result"]["state"]) == ("ended", "verified")
    assert [line[9:] for line in lines if "==" in line] == ["== stage", "== exchange", "== verify"]


def test_one_that_had_ended_is_not_done_again(app: App, activated: Activation) -> None:
    name = a_backup(app)
    lock.begin(app.paths, lock.Attempt("restore", name, "ada", 1234.5))
    first = restore(app.paths, name, "ada")
    database(app, "later")
    assert restore(app.paths, name, "ada") == first
    assert said(app) == "later"
    lock.begin(app.paths, lock.Attempt("restore", name, "ada", 1300.0))
    restore(app.paths, name, "ada")
    assert said(app) == "then"


class Cutter:
    """Kills the runner before one of the renamings that a restore is made of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.count = 0
        real = Path.rename

        def rename(path: Path, target: Path) -> Path:
            self.count += 1
            if self.count == at:
                raise Cut
            return real(path, target)

        monkeypatch.setattr(Path, "rename", rename)


def to_the_end(app: App, name: str) -> Result:
    while True:
        try:
            return restore(app.paths, name, "ada")
        except Cut:
            continue


# How many renamings there are, files that are written among them.
GOOD, UNDONE = 14, 22


@pytest.mark.parametrize(
    ("at", "is_good"),
    [(at, True) for at in range(1, GOOD + 2)] + [(at, False) for at in range(1, UNDONE + 2)],
)
def test_it_can_be_cut_off_anywhere(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch, at: int, is_good: bool
) -> None:
    name = a_backup(app)
    wrong = None if is_good else BAD
    monkeypatch.setattr(activation, "activate", lambda release: _bad_with_then(app, wrong))
    with monkeypatch.context() as patched:
        cutter = Cutter(patched, at)
        ended = to_the_end(app, name)
    # The last one of each is cut nowhere: the others were all there are.
    uncut = GOOD if is_good else UNDONE
    assert (cutter.count == uncut) == (at > uncut)
    assert (ended.state, state(app)) == (("verified", THEN) if is_good else ("restored", NOW))
    assert left_over(app) == []
    expected = ["app.db", "app.db-wal", "audio", "settings.json"] if is_good else []
    assert set_aside(app) == expected


def _bad_with_then(app: App, wrong: Failure | None) -> None:
    if wrong and said(app) == "then":
        raise wrong


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


def test_a_damaged_state_file_is_not_taken_for_a_restore(app: App, activated: Activation) -> None:
    name = a_backup(app)
    (app.paths.home / "restore").mkdir()
    write(app.paths.home / "restore/state.json", "{}")
    assert restore(app.paths, name, "ada").state == "verified"
