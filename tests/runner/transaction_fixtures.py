"""A transaction with fake stages: they record their runs, and fail if a test sets an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.lib.files import point, write
from gpuhost.runner.plan import Migrate, Plan
from gpuhost.runner.stages import activation, first_release, transaction
from gpuhost.runner.stages.engine import Stage
from gpuhost.runner.stages.first_release import Existing
from gpuhost.runner.state.release import Release

OLD, NEW = "20260101-000000-aaaaaaaa", "20260102-000000-bbbbbbbb"
PREPARING = ("preflight", "source", "render", "build", "backup", "migrate")
ACTIVATING = ("up", "verify", "nginx")
ALL = (*PREPARING, *ACTIVATING)


class Stages:
    """Records the stages that ran, in order; `wrong` has the errors to raise."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.wrong: dict[str, BaseException] = {}
        self.afterwards: list[str] = []
        self.left = Existing((), ())
        self.before_undoing: list[str] = []
        self.looked: list[str] = []

    def stage(self, name: str) -> Callable[[Release], None]:
        def run(release: Release) -> None:
            self.done.append(name)
            if name in self.wrong:
                raise self.wrong[name]

        return run

    def afterwards_of(self, name: str) -> Callable[[Release], None]:
        def note(release: Release) -> None:
            self.afterwards.append(name)
            raise OSError(f"{name} went wrong")

        return note

    def undoing(self, name: str) -> Callable[[Release], None]:
        def note(release: Release) -> None:
            self.before_undoing.append(name)
            raise OSError(f"{name} went wrong")

        return note

    def activated(self, release: Release) -> None:
        self.stage(f"activate {release.plan.id}")(release)

    def note_existing(self, release: Release) -> None:
        self.looked.append(self.done[-1])

    def undone(self, release: Release) -> Existing:
        self.stage(f"undo {release.plan.id}")(release)
        return self.left


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    made = Stages()
    for group in ("PREPARING", "ACTIVATING", "PREPARING_ROLLBACK"):
        real: tuple[Stage, ...] = getattr(transaction, group)
        fakes = tuple(replace(stage, run=made.stage(stage.name)) for stage in real)
        monkeypatch.setattr(transaction, group, fakes)
    monkeypatch.setattr(activation, "activate", made.activated)
    monkeypatch.setattr(first_release, "note_existing", made.note_existing)
    monkeypatch.setattr(first_release, "undo", made.undone)
    monkeypatch.setattr(transaction.migrate, "stop", made.undoing("end of a migration"))
    monkeypatch.setattr(transaction.directories, "restore_owners", made.undoing("directories"))
    monkeypatch.setattr(transaction, "logs", lambda release: ("app | the last line",))
    monkeypatch.setattr(transaction.schedule, "install", lambda release: None)
    for name in ("prune", "trim"):
        monkeypatch.setattr(transaction.prune, name, made.afterwards_of(name))
    yield made


@pytest.fixture
def app(tmp_path: Path) -> AppPaths:
    return AppPaths(tmp_path / "app")


def a_release(app: AppPaths, release_id: str, *, migrates: bool = True) -> Release:
    home = app.release(release_id).home
    home.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        app="app",
        id=release_id,
        inputs=release_id,
        by="ada@desk",
        project="app",
        revision="r",
        migrate=Migrate("migrate") if migrates else None,
    )
    write(home / "plan.json", plan.text())
    return Release.open(app, release_id)


def with_old(app: AppPaths) -> None:
    a_release(app, OLD)
    point(app.current, f"releases/{OLD}")


def current(app: AppPaths) -> str | None:
    return app.current.resolve().name if app.current.exists() else None


def history(app: AppPaths) -> list[tuple[str, str]]:
    lines = map(json.loads, app.history.read_text().splitlines())
    return [(line["id"], line["state"]) for line in lines]
