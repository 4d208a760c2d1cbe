"""Whatever is in place of a state file: each verb ends in words, and none waits for ever."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.stages import removal
from tests.runner.host_fixtures import App
from tests.runner.random_verbs.faults import Fault
from tests.runner.random_verbs.world import World

Damage = Callable[[Path], object]
VERBS = ("release", "rollback", "restore", "backup", "rotate", "abort", "status", "resume",
         "remove", "follow")  # fmt: skip
# Of this app; {new}, {old}: releases; {backup}.
FILES = (
    *("attempt.json", "abort.json", "current", "lock", "history.jsonl", "generated.json"),
    *("copying.json", "bases.json", "seen.json", "nginx.json", "runner.pyz", "remove.log"),
    *(
        "rotation.json",
        "logrotate",
        "logrotate/state.json",
        "restore",
        "restore/state.json",
        "shared",
        "files",
    ),
    *("backups", "backups/last.log", "backups/{backup}/manifest.json", "backups/{backup}/log"),
    *("backups/{backup}/result.json", ".attempt.json.new", ".history.jsonl.new", "releases"),
    *(f"releases/{{new}}/{name}" for name in ("plan.json", "record.json", "result.json")),
    *(f"releases/{{new}}/{name}" for name in ("resolved.json", "log", "journal")),
    *(f"releases/{{new}}/{name}" for name in ("placed.json", "given.json", "compose.json")),
    *(f"releases/{{new}}/{name}" for name in ("fingerprint.json", "result.draft.json")),
    *("releases/{old}/record.json", "releases/{old}/journal", "releases/{old}/resolved.json"),
    "../other/releases/20260101-000000-aaaaaaaa/resolved.json",
)
KEYS = (
    *("id", "kind", "by", "started", "of", "state", "sequence", "taken", "items", "backup", "step"),
    *("exchanges", "manifest", "aside", "services", "volumes", "directories", "images", "tags"),
    *("took", "path", "loaded", "format", "at", "event", "stage", "app", "release", "reason"),
)


def values(text: str) -> Damage:
    """Every key that gpuhost reads has this value."""
    content = "{" + ", ".join(f'"{key}": {text}' for key in KEYS) + "}\n"
    return lambda path: path.write_text(content)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


DAMAGES: dict[str, Damage] = {
    "a directory": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a pipe": lambda path: os.mkfifo(path),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "100 MB": large,
    "empty": Path.touch,
    "no UTF-8": lambda path: path.write_bytes(b'\xff{"a": 1}'),
    "nested deeply": lambda path: path.write_text('{"a": ' + "[" * 100_000),
    "twice the same key": lambda path: path.write_text('{"id": "a", "id": 5, "kind": 1}'),
    "a number of 400 digits": values("1" + "0" * 400),
    "NaN": values("NaN"),
    "half a character": values('"\\ud800"'),
    "a list": values("[1]"),
    "a list of objects": values('[{"a": "b"}]'),
    "an object": values('{"web": {"volumes": ["a:b"], "volumes_from": 1}}'),
    "a path": values('"../../x"'),
    "missing": lambda path: None,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An app with two releases, a third one that has not begun, and a backup; another app."""
    tmp = tmp_path_factory.mktemp("state-files")
    (tmp / "app").mkdir()
    made = World(App(AppPaths(tmp / "app")))
    made.write()
    for migrates in (False, True):
        assert made.run(Fault(), "release", made.deliver(migrates=migrates)) == 0, made.trace
    made.deliver(migrates=True)
    volume = {"type": "bind", "source": str(made.data), "target": "/data"}
    (new,) = made.app.paths.home.glob("releases/*2")
    (new / "resolved.json").write_text(json.dumps({"services": {"web": {"volumes": [volume]}}}))
    (tmp / "other/releases/20260101-000000-aaaaaaaa").mkdir(parents=True)
    return made


def damaged(world: World, top: Path, name: str, damage: Damage) -> World | None:
    """A copy of the world; None: this file cannot have this damage."""
    home = world.app.paths.home
    old, new, _ = sorted(path.name for path in (home / "releases").iterdir())
    (backup,) = (path.name for path in (home / "backups").iterdir() if path.is_dir())
    shutil.rmtree(top, ignore_errors=True)
    shutil.copytree(home.parent, top, symlinks=True)
    path = top / "app" / name.format(old=old, new=new, backup=backup)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        if damage in (Path.mkdir, DAMAGES["missing"]):
            return None
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    damage(path)
    return replace(world, app=App(AppPaths(top / "app")), trace=[])


def arguments(world: World, verb: str) -> tuple[str, ...]:
    old, new, next_one = (f"20260101-{n:06d}-{n:08x}" for n in (1, 2, 3))
    backups = [path.name for path in world.app.paths.backups.glob("2*") if path.is_dir()]
    return {
        "release": (next_one,),
        "rollback": ("20260101-000009-00000009", "--to", old, "--by", "ann"),
        "restore": (*(backups or ["20260101-000000-release"])[:1], "--by", "ann"),
        "abort": ("--by", "ann"),
        "remove": ("--by", "ann"),
        "follow": (new, "0", "0"),
    }.get(verb, ())


def cases(verb: str) -> Iterator[tuple[str, str]]:
    pairs = [(name, damage) for name in FILES for damage in DAMAGES]
    yield from pairs[VERBS.index(verb) :: SHARE]


# What these say is in result.json.
WITH_RESULT = ("release", "rollback", "restore")
NEXT_STEP = r"-> |; (release|repair) |this runner reads|no verified release"
# One of this many pairs, of each verb another; with 1, all are tried.
SHARE = int(os.environ.get("STATE_FILES_SHARE", "41"))


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_ends_in_words(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(removal, "_volumes", lambda project, log: [])
    wrong = []
    for name, damage in cases(verb):
        tried = damaged(world, tmp_path / "copy", name, DAMAGES[damage])
        if tried is None:
            continue
        status = tried.run(Fault(), verb, *arguments(tried, verb))
        said = tried.trace[-1].partition(" -> ")[2]
        if status not in (0, 1, 2, 3, 4):
            wrong.append((name, damage, said))
        elif status and verb not in WITH_RESULT and not re.search(NEXT_STEP, said):
            wrong.append((name, damage, f"no next step: {said}"))
    assert wrong == []
