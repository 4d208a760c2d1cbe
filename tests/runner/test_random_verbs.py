"""Random sequences of the runner's verbs, with faults at random changing system calls.

After each verb nothing acknowledged is lost; at the end nothing is unfinished, and the next verbs
work. The report of pytest begins with the seed of the first one, a failure with its own:
GPUHOST_SEED=… begins with that one.
"""

from __future__ import annotations

import json
import os
import random
import tarfile
import time
from pathlib import Path

import pytest

from gpuhost.runner.contract import REMOVE, AppPaths
from gpuhost.runner.data import stored
from tests.conftest import SEED
from tests.runner.host_fixtures import App, Programs
from tests.runner.host_fixtures import programs as programs
from tests.runner.random_verbs.faults import KILLED, Fault
from tests.runner.random_verbs.world import (
    FAILED,
    GOOD,
    LOCKED,
    UNFORESEEN,
    UNRESTORED,
    USAGE,
    World,
    check,
    check_settled,
    shown,
)

YEAR = 366 * 86400.0
VERBS = ("release", "release", "backup", "backup", "restore", "restore", "rollback", "remove",
         "abort", "resume")  # fmt: skip
BROKEN = ("", "", "", "verify", "restore")
FAULTS = ("none", "none", "kill", "kill", "kill", "EIO", "ENOSPC", "clock")


class Sequence:
    """+ before: the data when the unfinished verb began
    + restored: of the backups that were restored since
    """

    def __init__(self, seed: int, home: Path) -> None:
        self.random = random.Random(seed)
        (home / "app").mkdir(parents=True)
        self.world = World(App(AppPaths(home / "app")))
        self.before: frozenset[int] = frozenset()
        self.restored: set[frozenset[int]] = set()
        self.wrote_meanwhile = False

    def play(self, verbs: int) -> None:
        world = self.world
        world.write()
        self.run("release", Fault())
        for _ in range(verbs):
            if self.is_settled or self.random.random() < 0.5:
                for _ in range(self.random.randrange(3)):
                    world.write()
                    self.wrote_meanwhile |= not self.is_settled
            world.broken = self.random.choice(BROKEN)
            self.run(self.random.choice(VERBS), self.fault())
        world.broken = ""
        self.settle()
        self.run("release", Fault(), must_be=GOOD)
        self.run("backup", Fault(), must_be=GOOD)
        self.run("restore", Fault(), must_be=GOOD)
        assert self.is_settled

    @property
    def is_settled(self) -> bool:
        paths = self.world.app.paths
        return not (paths.attempt.exists() or paths.restoring.exists())

    def fault(self) -> Fault:
        kind = self.random.choice(FAULTS)
        # A backup has 20 changing calls, a release 200.
        at = 1 + int(self.random.expovariate(1 / self.random.choice((10, 40, 120))))
        return Fault(kind, at, self.random.choice((-1, 1)) * self.random.choice((YEAR, 86400.0)))

    def settle(self) -> None:
        """As the messages say: resume, remove again, and after a failed undo restore again."""
        paths = self.world.app.paths
        self.run("resume", Fault())
        if paths.attempt.exists() and json.loads(paths.attempt.read_text())["kind"] == REMOVE:
            self.run("remove", Fault(), must_be=GOOD)
        restoring = paths.restoring
        if restoring.exists():
            name = stored_name(restoring)
            self.run("restore", Fault(), backup=name)
        assert self.is_settled, "it is still unfinished"

    def run(self, verb: str, fault: Fault, *, must_be: int | None = None, backup: str = "") -> None:
        world = self.world
        if self.is_settled:
            self.before, self.restored, self.wrote_meanwhile = world.in_place(), set(), False
        arguments = self.arguments(verb, backup)
        if arguments is None:
            return
        if fault.kind == "clock":
            must_be = world.rehearse(verb, *arguments)
        known = {each.manifest.sequence for each in stored.complete(world.app.paths)}
        before = world.in_place()
        status = world.run(fault, verb, *arguments)
        made = [b for b in stored.complete(world.app.paths) if b.manifest.sequence not in known]
        for each in made:
            # The name of one that was removed in the same second is used again.
            world.backups.pop(each.name, None)
            world.backups[each.name] = content = content_of(each)
            # The verb may have finished a restore first.
            assert content in {before, world.in_place(), *self.restored}
        assert made or (verb, status) != ("backup", GOOD), "it made no backup"
        allowed = {GOOD, FAILED, USAGE, UNRESTORED}
        if verb == "backup":
            # It has waited for an operation that was interrupted.
            allowed.add(LOCKED)
        if fault.kind in ("EIO", "ENOSPC"):
            allowed.add(UNFORESEEN)
        if fault.kind == "kill":
            allowed.add(KILLED)
        assert status in ({must_be} if must_be is not None else allowed)
        if status not in (GOOD, KILLED):
            assert world.names_next_step(verb, arguments), "no next step"
        if verb == "remove":
            world.verified.clear()
        elif verb in ("release", "rollback") and status == GOOD:
            assert world.current() == arguments[0]
        # The verb may have finished a release first.
        world.verified = sorted({*world.verified, *world.verified_now()})
        check(world)
        if verb == "remove":
            world.is_half_removed = status != GOOD
        elif verb != "backup" and world.running.exists():
            world.is_half_removed = False
        if self.is_settled and status != KILLED:
            was_uncertain, before = self.wrote_meanwhile, self.before
            check_settled(world, {world.in_place()} if was_uncertain else {before, *self.restored})

    def arguments(self, verb: str, backup: str) -> tuple[str, ...] | None:
        """None: not possible now."""
        world = self.world
        if verb == "release":
            return (world.deliver(migrates=self.random.random() < 0.5),)
        if verb == "rollback":
            world.releases += 1
            new = f"20260101-{world.releases:06d}-{world.releases:08x}"
            homes = sorted(path.name for path in world.app.paths.releases.glob("2*"))
            return (new, "--to", self.random.choice(homes), "--by", "me") if homes else None
        if verb == "restore":
            present = [each.name for each in stored.complete(world.app.paths)]
            if not present:
                return None
            name = backup or self.random.choice(present)
            self.restored.add(world.backups[name])
            return (name, "--by", "me")
        return ("--by", "me") if verb in ("remove", "abort") else ()


def content_of(backup: stored.Stored) -> frozenset[int]:
    (item,) = backup.manifest.items
    with tarfile.open(backup.home / item.file) as tar:
        names = (Path(name).name for name in tar.getnames())
        return frozenset(int(name) for name in names if name.isdecimal())


def stored_name(restoring: Path) -> str:
    return str(json.loads(restoring.read_text())["backup"])


def play(seed: int, directory: Path) -> str:
    """What went wrong, with the sequence that led to it; "": nothing."""
    sequence = Sequence(seed, directory)
    try:
        sequence.play(verbs=8)
    except Exception as error:
        return f"GPUHOST_SEED={seed}\n{shown(sequence.world)}\n{type(error).__name__}: {error}"
    return ""


def play_for(seconds: float, directory: Path) -> str:
    """The first failure; "": none."""
    first, began, number = int(os.environ[SEED]), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if failure := play(first + number, directory / str(number)):
            return failure
        number += 1
    return "" if number else "no sequence was played"


@pytest.fixture(autouse=True)
def quiet_engine(programs: Programs) -> None:
    programs.answer("docker ps *", "")


@pytest.mark.slow
def test_no_sequence_of_verbs_and_faults_loses_anything(tmp_path: Path) -> None:
    assert play_for(120, tmp_path) == ""


@pytest.mark.matrix
def test_none_in_an_hour(tmp_path: Path) -> None:
    assert play_for(3600, tmp_path) == ""
