"""Files that an earlier version wrote on a host are read, and its operations are finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhost.runner.contract import Operation, Result
from gpuhost.runner.data import stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import as_json, load
from gpuhost.runner.stages.restore import restore
from gpuhost.runner.stages.transaction import run_transaction
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.release import Release, read_record
from gpuhost.runner.state.status import status
from tests.runner import host_fixtures, restore_fixtures
from tests.runner.host_fixtures import App, Programs, programs
from tests.runner.restore_fixtures import NOW, THEN, Activation, activated, left_over, state
from tests.runner.transaction_fixtures import ACTIVATING, NEW, OLD, Stages, stages

__all__ = ["activated", "programs", "stages"]

RECORDED = Path(__file__).with_name("recorded")
# Fields of a result that came later, with their defaults.
LATER = {"aborted_by": "", "took_s": None}
HOME = "/opt/gpuhost/app"


@pytest.fixture
def app(tmp_path: Path) -> App:
    (tmp_path / "app").mkdir()
    return App(host_fixtures.AppPaths(tmp_path / "app"))


def put(name: str, path: Path, app: App) -> None:
    """Writes a recorded file to its path on this host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((RECORDED / name).read_text().replace(HOME, str(app.paths.home)))


def test_a_plan_is_read_and_written_unchanged() -> None:
    plan = load(RECORDED / "plan.json")
    key, url, _ = plan.secrets
    assert (key.bytes, key.path, url.value) == (24, "secrets/key", "redis://:${KEY}@redis/0")
    assert plan.source and plan.source.git == "https://git.example.org/app.git"
    assert plan.nginx and plan.nginx.server_names == ("app.example.org",)
    assert plan.migrate and (plan.migrate.limit_s, plan.migrate.without_backup) == (300, False)
    assert json.loads(plan.text()) == json.loads((RECORDED / "plan.json").read_text())
    assert as_json(plan)["migrate_without_backup"] is False


def test_a_record_is_read() -> None:
    record = read_record(RECORDED / "record.json")
    assert (record.images, record.tags) == ({"web": "sha256:aa"}, {"web": "gpuhost/app/web:aa"})
    assert record.by_hand and record.by_hand["c0ffee"].directory == "/srv/web"
    assert (str(record.directories["/srv/x"]), record.secret_files) == ("0:0 0755", {"KEY": 17})


@pytest.mark.parametrize("name", ["verified", "restored", "restore"])
def test_every_field_of_a_result_is_read(name: str) -> None:
    path = RECORDED / f"result-{name}.json"
    result, value = results.read(path), json.loads(path.read_text())
    assert result and result == Result.lenient(value)
    as_written = {
        key: list(one) if isinstance(one, tuple) else one for key, one in vars(result).items()
    }
    assert as_written == {**value, **LATER}


def test_an_unfinished_operation_is_read(app: App) -> None:
    put("attempt.json", app.paths.attempt, app)
    operation = Operation("release", NEW, "ada@desk", 1795300100.2)
    assert operations.begun(app.paths) == operation
    assert Operation.lenient(json.loads(app.paths.attempt.read_text())) == operation


def test_the_output_of_status_is_unchanged(app: App) -> None:
    for release, ended in ((OLD, "verified"), (NEW, "restored")):
        put(f"result-{ended}.json", app.paths.release(release).result, app)
    put("attempt.json", app.paths.attempt, app)
    app.paths.current.symlink_to(f"releases/{OLD}")
    recorded = json.loads((RECORDED / "status.json").read_text())
    recorded["releases"] = [{**result, **LATER} for result in recorded["releases"]]
    assert json.loads(json.dumps(status(app.paths))) == recorded


def test_the_output_of_follow_is_unchanged(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    line, _, log = (RECORDED / "follow").read_text().partition("\n")
    answer = json.loads(line)
    name = answer["result"]["id"]
    answer["result"] |= LATER
    put("result-restore.json", app.paths.backups / name / "result.json", app)
    (app.paths.backups / name / "log").write_text(log)
    follow(app.paths, name, 0, 0)
    status_line, _, shown = capsys.readouterr().out.partition("\n")
    assert json.loads(status_line) == {**answer, "offset": len(log)}
    assert shown == log


def test_a_manifest_is_read(app: App) -> None:
    put("manifest.json", app.paths.backups / "20261129-200253-schedule/manifest.json", app)
    (backup,) = stored.complete(app.paths)
    assert [item.kind for item in backup.manifest.items] == ["sqlite", "path", "path"]


def test_a_release_that_was_interrupted_in_a_stage_continues(app: App, stages: Stages) -> None:
    app.release(OLD, is_current=True)
    put("plan.json", app.paths.release(NEW).plan, app)
    plan = app.paths.release(NEW).plan
    plan.write_text(plan.read_text().replace(OLD, NEW).replace("9000", "999999999"))
    put("journal-cut-in-build", app.paths.release(NEW).journal, app)
    ended = run_transaction(Release.open(app.paths, NEW))
    assert (ended.state, Journal(app.paths.release(NEW).journal).starts) == ("verified", 2)
    assert stages.done == ["render", "build", "backup", "migrate", *ACTIVATING]


def test_an_interrupted_undo_continues_and_knows_the_cause(app: App, stages: Stages) -> None:
    app.release(OLD, is_current=True)
    paths = app.paths.release(NEW)
    put("plan.json", paths.plan, app)
    paths.plan.write_text(paths.plan.read_text().replace(OLD, NEW))
    put("journal-undo", paths.journal, app)
    put("result.draft.json", paths.home / "result.draft.json", app)
    put("record-undo.json", paths.record, app)
    ended = run_transaction(Release.open(app.paths, NEW))
    assert stages.done == [f"activate {OLD}"]
    assert (ended.state, ended.stage, ended.said) == ("restored", "verify", "GPU not used")
    assert (ended.fix, ended.output, ended.restored) == ("look", ("line",), OLD)


BAD = Failure("web: exited with 1")


@pytest.mark.parametrize(
    ("step", "wrong", "outcome"),
    [
        ("exchanging", None, ("verified", THEN)),
        ("exchanging", BAD, ("restored", NOW)),
        ("undoing", None, ("restored", NOW)),
        ("undone", None, ("restored", NOW)),
        ("done", None, ("verified", THEN)),
    ],
)
def test_an_interrupted_restore_is_finished_or_undone(
    app: App, programs: Programs, activated: Activation, step: str, wrong: Failure | None,
    outcome: tuple[str, object],
) -> None:  # fmt: skip
    name = _interrupted_at(app, step)
    activated.wrong = [wrong] if wrong else []
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app)) == outcome
    assert left_over(app) == []
    if step in ("undoing", "undone"):
        assert (ended.said, ended.output) == ("web: exited with 1", ("no such column",))
        assert (ended.fix, ended.restored) == ("look at it", host_fixtures.NEW)


def _interrupted_at(app: App, step: str) -> str:
    """Writes the files as they were when the runner was interrupted after this step."""
    name = json.loads((RECORDED / f"restore-{step}.json").read_text())["backup"]
    restore_fixtures.database(app, "now")
    for path in ("public/audio/now.mp3", "settings.json"):
        app.data(path, "now")
    app.release(host_fixtures.NEW, is_current=True)
    put(f"restore-{step}.json", app.paths.restoring, app)
    state = json.loads(app.paths.restoring.read_text())
    (app.paths.backups / name).mkdir(parents=True)
    for exchange in state["exchanges"]:
        _lay_out(Path(exchange["staged"]), app)
    if step in ("undoing", "done"):
        for exchange in state["exchanges"]:
            aside = Path(exchange["aside"])
            aside.mkdir(parents=True)
            Path(exchange["target"]).rename(aside / Path(exchange["target"]).name)
            Path(exchange["staged"]).rename(exchange["target"])
    return str(name)


def _lay_out(staged: Path, app: App) -> None:
    staged.parent.mkdir(parents=True)
    if staged.name == "app.db":
        other = App(host_fixtures.AppPaths(staged.parent / "other"))
        restore_fixtures.database(other, "then")
        (other.paths.shared / restore_fixtures.DB).rename(staged)
    elif staged.name == "audio":
        staged.mkdir()
        (staged / "then.mp3").write_text("then")
    else:
        staged.write_text("then")
