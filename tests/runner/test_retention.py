"""The order of backups, and which ones stay, whatever the clock says."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuhost.runner.contract import AppPaths, state_files
from gpuhost.runner.data import backup, retention, stored
from gpuhost.runner.data.stored import Manifest
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Backup
from gpuhost.runner.state.releases import deletion_advice
from gpuhost.snapshot import apps_on_host
from tests.runner.host_fixtures import OLD, App, app, programs, unreadable

__all__ = ["app", "programs"]

YEAR = 365 * 86400
NOW = 1_796_000_000


class Clock:
    """The wall clock of the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(NOW)
        gmtime = time.gmtime
        monkeypatch.setattr(stored.time, "time", lambda: self.now)
        monkeypatch.setattr(stored.time, "gmtime", lambda: gmtime(self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def a_backup(app: App, keep: int, number: int = 0) -> str:
    app.data("data/file", str(number))
    declared = Backup(paths=("data",), keep=keep)
    home = app.paths.release(f"{OLD}-{number}").home
    shutil.rmtree(home, ignore_errors=True)
    return backup.backup(app.release(home.name, backup=declared), "schedule")


def an_old_one(app: App, name: str, taken: float) -> str:
    """A backup without a number."""
    home = app.paths.backups / name
    home.mkdir(parents=True)
    manifest = {"app": "app", "release": "", "reason": "schedule", "taken": taken, "items": []}
    (home / "manifest.json").write_text(json.dumps(manifest))
    return name


def names(app: App) -> list[str]:
    return [one.name for one in stored.complete(app.paths)]


def log_of(app: App, number: int) -> str:
    return app.paths.release(f"{OLD}-{number}").log.read_text()


@pytest.mark.parametrize("jump", [4 * YEAR, YEAR, -YEAR, -50 * YEAR])
@pytest.mark.parametrize("back", [True, False])
def test_the_newest_stay_after_a_jump_of_the_clock(
    app: App, clock: Clock, jump: float, back: bool
) -> None:
    made = []
    for number in range(9):
        clock.now += 60
        if number == 3:
            clock.now += jump
        if number == 6 and back:
            clock.now -= jump
        made.append(a_backup(app, 3, number))
        assert names(app) == made[-3:]
    assert len(set(made)) == 9


def test_the_last_backup_with_data_stays_while_its_disk_is_not_mounted(
    app: App, clock: Clock
) -> None:
    full = [a_backup(app, 2, number) for number in (1, 2, 3)]
    data = app.paths.shared / "data"
    (data / "file").rename(app.paths.home / "file")
    app.data("other", "x")
    made = []
    for number in (4, 5, 6, 7):
        clock.now += 60
        declared = Backup(paths=("data", "other"), keep=2)
        made.append(backup.backup(app.release(f"{OLD}-{number}", backup=declared), "schedule"))
    assert names(app) == [full[-1], *made[-2:]]
    assert (
        f"data is empty: is its disk mounted? The last backup with data of it is kept: {full[-1]}"
        in (log_of(app, 7))
    )
    # It is back.
    last = a_backup(app, 2, 8)
    assert names(app) == [made[-1], last]
    assert "is empty" not in log_of(app, 8)


def test_a_backup_from_the_future_is_told(app: App, clock: Clock) -> None:
    clock.now += YEAR
    ahead = a_backup(app, 3, 1)
    assert "from the future" not in log_of(app, 1)
    clock.now -= YEAR
    a_backup(app, 3, 2)
    assert f"warning: backups from the future: {ahead}: the clock was ahead" in log_of(app, 2)


def test_backups_named_2030_of_an_earlier_version_push_out_nothing(app: App, clock: Clock) -> None:
    past = [an_old_one(app, f"2026110{day}-033000-schedule", NOW - day) for day in (1, 2, 3)]
    future = [an_old_one(app, f"2030010{day}-033000-schedule", NOW + 4 * YEAR) for day in (1, 2, 3)]
    made = [a_backup(app, 3, 1)]
    # Which of the old ones are newer is not known.
    assert names(app) == [*past[1:], *future, *made]
    made.append(a_backup(app, 3, 2))
    assert names(app) == [*past[2:], *future, *made]
    made.append(a_backup(app, 3, 3))
    assert names(app) == made


def test_old_backups_stay_while_the_clock_is_behind(app: App, clock: Clock) -> None:
    old = [an_old_one(app, f"2026110{day}-033000-schedule", NOW) for day in (1, 2, 3)]
    clock.now = 0
    assert [*names(app), a_backup(app, 2, 1)] == [*old, names(app)[-1]]


@pytest.mark.parametrize("keep", [1, 0, -1])
def test_the_one_just_made_stays(app: App, clock: Clock, keep: int) -> None:
    for number in range(3):
        made = a_backup(app, keep, number)
        assert names(app) == [made]


def test_backups_of_the_same_second_have_an_order(app: App, clock: Clock) -> None:
    made = [a_backup(app, 20, number) for number in range(12)]
    assert names(app) == made
    assert made[-1].endswith("-schedule.12")
    assert [one.manifest.sequence for one in stored.complete(app.paths)] == list(range(1, 13))


@pytest.mark.parametrize("counted", [(), (7, 3, 3, 1, -2, 0)])
def test_the_probe_of_a_host_has_the_same_order(app: App, counted: tuple[int, ...]) -> None:
    """So that the newest is the same for `gpuhost restore`, for drift and for the runner."""
    reasons = ("release.10", "release.2", "release", "schedule", "schedule.2", "release.9")
    for reason, number in itertools.zip_longest(reasons, counted):
        name = an_old_one(app, f"20261101-033000-{reason}", NOW)
        value = json.loads(manifest_of(app, name).read_text())
        manifest_of(app, name).write_text(json.dumps({**value, "sequence": number or 0}))
    probed = [backup["name"] for backup in apps_on_host.backups_of(app.paths.home)]
    assert probed[::-1] == names(app)
    if not counted:
        assert [name[16:] for name in probed] == [
            *("release.10", "release.9", "schedule.2", "release.2", "schedule", "release"),
        ]


def manifest_of(app: App, name: str) -> Path:
    return app.paths.backups / name / "manifest.json"


OUTSIDE = {"kind": "path", "name": "a", "file": "../x", "bytes": 1, "sha256": "", "unpacked": 1}
DAMAGES = (
    *("{", "", "[]", '{"sequence": "9"}', "missing"),
    '{"app": "app", "taken": "of another version"}',
    json.dumps({"app": "app", "release": "", "reason": "", "taken": 0.0, "items": [OUTSIDE]}),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_manifest_is_damaged(app: App, clock: Clock, damage: str) -> None:
    """Numbers come from the manifests: none is lost with another file."""
    made = [a_backup(app, 3, number) for number in range(3)]
    if damage == "missing":
        manifest_of(app, made[2]).unlink()
    else:
        manifest_of(app, made[2]).write_text(damage)
    made += [a_backup(app, 3, number) for number in (3, 4)]
    assert names(app) == [made[1], *made[3:]]
    assert (app.paths.backups / made[2] / "1-data.tar.gz").exists()
    assert f"backup {made[2]}: its manifest cannot be read" in log_of(app, 4)


@pytest.mark.parametrize("sequence", [-5, 0, 10**30])
def test_any_number_in_a_manifest_is_followed_by_a_newer_one(
    app: App, clock: Clock, sequence: int
) -> None:
    first = a_backup(app, 3, 1)
    value = json.loads(manifest_of(app, first).read_text())
    manifest_of(app, first).write_text(json.dumps({**value, "sequence": sequence}))
    assert [*names(app), a_backup(app, 3, 2)] == [first, names(app)[-1]]


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_backup_does_not_count_and_stays(app: App, clock: Clock, damage: str) -> None:
    made = [a_backup(app, 2, number) for number in range(2)]
    file = app.paths.backups / made[1] / "1-data.tar.gz"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    made.append(a_backup(app, 2, 2))
    # Two that are good, and the damaged one.
    assert names(app) == made
    assert f"backup {made[1]} is damaged: it does not count, and is kept" in log_of(app, 2)


def test_nothing_is_removed_if_a_reference_cannot_be_read(app: App, clock: Clock) -> None:
    made = [a_backup(app, 1, 0)]
    record = app.release("20260102-000000-damaged").paths.record
    record.write_text('{"backup": "2026')
    made.append(a_backup(app, 1, 1))
    assert names(app) == made
    assert f"no old backup is removed: {record} is damaged" in log_of(app, 1)
    record.unlink()
    made.append(a_backup(app, 1, 2))
    assert names(app) == made[2:]


@pytest.mark.parametrize(
    "damaged", ["restore/state.json", "attempt.json", "releases/x/record.json"]
)
def test_the_advice_for_a_damaged_reference_loses_nothing_and_ends_it(
    app: App, clock: Clock, damaged: str
) -> None:
    made = [a_backup(app, 1, 0)]
    path = app.paths.home / damaged
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    (path.parent / "beside").write_text("data")
    made.append(a_backup(app, 1, 1))
    assert names(app) == made
    told = log_of(app, 1).partition("no old backup is removed: ")[2]
    assert f"{path} is damaged" in told
    command = shlex.split(re.findall(r"(?:mv|rm -r) /.*", told)[-1])
    subprocess.run(command, check=True)
    # Only the directory of a release that is not needed is deleted.
    kept = [one for one in app.paths.home.rglob("beside") if one.read_text() == "data"]
    assert len(kept) == (0 if command[0] == "rm" else 1)
    made.append(a_backup(app, 1, 2))
    assert names(app) == made[2:]


@pytest.mark.parametrize("plan", ['{"rollback_of": "x"}', "{"])
def test_a_release_whose_files_may_be_in_use_is_deleted_after_another_one(
    app: App, plan: str
) -> None:
    """By a rollback to it."""
    app.release(OLD, is_current=True).paths.plan.write_text(plan)
    assert deletion_advice(app.paths, Path("x")).startswith("release the app again; then, ")


@pytest.mark.parametrize("file", ["restore/state.json", "attempt.json", "releases/x/result.json"])
def test_a_reference_that_the_disk_cannot_read_is_not_to_be_deleted(
    app: App, clock: Clock, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    made = [a_backup(app, 1, 0)]
    path = app.paths.home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    unreadable(monkeypatch, path)
    made.append(a_backup(app, 1, 1))
    assert names(app) == made
    told = log_of(app, 1).partition("no old backup is removed: ")[2]
    assert f"'{path}': Input/output error" in told
    assert "journalctl -k" in told
    assert not re.search(r"\b(rm|mv) ", told)


def test_no_number_is_given_twice(app: App, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the newest manifest cannot be read."""
    first = a_backup(app, 9, 0)
    with monkeypatch.context() as patched:
        unreadable(patched, app.paths.backups / first / "manifest.json")
        second = a_backup(app, 9, 1)
    numbers = {one.name: one.manifest.sequence for one in stored.complete(app.paths)}
    assert numbers == {first: 1, second: 2}


def test_each_manifest_is_read_once(
    app: App, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        a_backup(app, 9, number)
    read, paths = state_files.read_state, list[Path]()

    def count(path: Path) -> bytes:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(state_files, "read_state", count)
    retention.prune(app.paths, 9, Log(app.paths.home / "log"))
    assert len([path for path in paths if path.name == stored.MANIFEST]) == 3


def test_a_backup_whose_restore_has_begun_stays(app: App, clock: Clock) -> None:
    made = [a_backup(app, 1, 0)]
    app.paths.attempt.write_text(json.dumps({"kind": "restore", "id": made[0], "by": "ada"}))
    made.append(a_backup(app, 1, 1))
    assert names(app) == made


def test_what_an_interrupted_deletion_left_is_deleted_by_the_next_backup(
    app: App, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = a_backup(app, 1, 0)

    def full(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(retention, "clear", full)
        second = a_backup_without_cleanup(app)
    assert names(app) == [second]
    assert (app.paths.backups / f".{first}.partial").exists()
    assert "could not be removed" in log_of(app, 9)
    third = a_backup(app, 1, 2)
    assert [path.name for path in app.paths.backups.iterdir()] == [third]


def a_backup_without_cleanup(app: App) -> str:
    declared = Backup(paths=("data",), keep=1)
    return backup.backup(app.release(f"{OLD}-9", backup=declared), "schedule")


STEPS = st.lists(
    st.tuples(st.integers(-60 * YEAR, 60 * YEAR), st.sampled_from(["good", "damaged", "torn"])),
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(
    steps=STEPS, keep=st.integers(1, 4), old=st.lists(st.integers(1, 4), max_size=3, unique=True)
)
def test_whatever_the_clock_does_the_newest_good_ones_stay(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, str]],
    keep: int,
    old: list[int],
) -> None:
    app = App(AppPaths(tmp_path_factory.mktemp("any") / "app"))
    app.paths.backups.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patched:
        clock = Clock(patched)
        for year in old:
            an_old_one(app, f"{2025 + year}0101-000000-schedule", NOW + year * YEAR)
        good: list[str] = []
        for jump, then in steps:
            clock.now = max(0.0, min(NOW + jump, 250 * YEAR))
            draft = stored.begin(app.paths, "schedule")
            if then == "torn":
                continue
            made = stored.finish(app.paths, draft, Manifest("app", "", "schedule", clock.now, ()))
            retention.prune(app.paths, keep, Log(app.paths.home / "log"))
            good = [*good, made.name][-keep:]
            assert set(good) <= set(names(app))
            assert names(app)[-1] == made.name
            if len(good) == keep:
                assert len(names(app)) <= keep + len(old)
            if then == "damaged":
                (made / "manifest.json").write_text("{")
                good.remove(made.name)
