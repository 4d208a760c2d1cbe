"""A small app with data, the runner's verbs on it, and what must be true after each.

The app writes numbered files, which are acknowledged at once. What runs is one file, in place of
the engine. Each verb runs in a process of its own, with a fault at some changing call.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from gpuhost.runner import __main__ as entry
from gpuhost.runner.contract import Result
from gpuhost.runner.data import scheduled_backup, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Migrate
from gpuhost.runner.stages import (
    activation,
    fingerprint,
    first_release,
    migrate,
    printed_secrets,
    prune,
    removal,
    restore_stages,
    runner_cleanup,
    transaction,
)
from gpuhost.runner.stages.first_release import Existing
from gpuhost.runner.state import results
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App
from tests.runner.random_verbs.faults import Fault, Injection

KEEP = 2
GOOD, FAILED, USAGE, UNRESTORED, LOCKED, UNFORESEEN = range(6)
# Of a verb: one that waits for ever is a failure.
LIMIT_S = 60


@dataclass
class World:
    """+ broken: what does not start: "verify", "restore" (the old release, too) or nothing
    + offset: of the host's clock, seconds
    + written: numbers of the acknowledged writes
    + is_half_removed: a removal was interrupted, and nothing was activated since
    + backups: name to the writes in it, in the order in which they were made
    + verified: ids of the releases that said so, the oldest first
    + output: of the last verb
    """

    app: App
    offset: float = 0.0
    broken: str = ""
    written: set[int] = field(default_factory=set)
    backups: dict[str, frozenset[int]] = field(default_factory=dict)
    verified: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    releases: int = 0
    is_half_removed: bool = False
    output: str = ""

    @property
    def data(self) -> Path:
        return self.app.paths.shared / "data"

    @property
    def running(self) -> Path:
        return self.app.paths.home.with_name("running")

    def write(self) -> None:
        """The app acknowledges a write."""
        number = len(self.written) + 1
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / str(number)).write_text("written")
        self.written.add(number)
        self.trace.append(f"the app writes {number}")

    def in_place(self) -> frozenset[int]:
        if not self.data.is_dir():
            return frozenset()
        return frozenset(int(p.name) for p in self.data.iterdir() if p.name.isdecimal())

    def run(self, fault: Fault, verb: str, *arguments: str) -> int:
        """The exit status of a verb; a traceback without a fault is one of the test."""
        self.trace.append(f"{' '.join((verb, *arguments))}{fault} {self.broken}")
        output = self.app.paths.home.with_name("output")
        child = os.fork()
        if child == 0:
            self._in_child(fault, output, verb, arguments)
        _, ended = os.waitpid(child, 0)
        status = os.waitstatus_to_exitcode(ended)
        if fault.kind == "clock":
            self.offset += fault.jump
        self.output = output.read_text(errors="replace").strip()
        self.trace[-1] += f" -> {status} {self.output[-600:]}"
        return status

    def rehearse(self, verb: str, *arguments: str) -> int:
        """The exit status without a fault; everything is as before then."""
        home = self.app.paths.home.parent
        copy = home.with_name(f"{home.name}.copy")
        subprocess.run(["cp", "-a", home, copy], check=True)
        status = self.run(Fault(), verb, *arguments)
        self.trace.pop()
        shutil.rmtree(home)
        copy.rename(home)
        return status

    def _in_child(self, fault: Fault, output: Path, verb: str, arguments: tuple[str, ...]) -> None:
        try:
            with output.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                sys.stdout = sys.stderr = open(  # noqa: SIM115
                    1, "w", errors="backslashreplace", closefd=False
                )
                signal.alarm(LIMIT_S)
                fake_stages(self)
                sys.argv = ["runner.pyz", verb, str(self.app.paths.home), *arguments]
                Injection(fault, str(self.app.paths.home.parent), self.offset).install()
                status = entry.main()
                sys.stdout.flush()
                os._exit(status)
        except SystemExit as error:
            os._exit(int(error.code or 0))
        except BaseException:
            with contextlib.suppress(BaseException):
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(99)

    def deliver(self, *, migrates: bool) -> str:
        """A release arrives on the host."""
        self.releases += 1
        release_id = f"20260101-{self.releases:06d}-{self.releases:08x}"
        declared = Backup(paths=("data",), keep=KEEP)
        plan = {"migrate": Migrate("migrate")} if migrates else {}
        self.app.release(release_id, backup=declared, keep_releases=KEEP, **plan)
        return release_id

    def result(self, release_id: str) -> Result | None:
        return results.read(self.app.paths.release(release_id).result)

    def verified_now(self) -> set[str]:
        """The ids of those that are still there."""
        homes = {path.name for path in self.app.paths.releases.glob("2*")}
        return {name for name in homes if (result := self.result(name)) and result.verified}

    def names_next_step(self, verb: str, arguments: tuple[str, ...]) -> bool:
        """In what it printed, or in the result of its operation."""
        paths = self.app.paths
        of_id = {"release": paths.releases, "rollback": paths.releases, "restore": paths.backups}
        if "-> " in self.output or verb not in of_id:
            return "-> " in self.output
        result = results.read(of_id[verb] / arguments[0] / "result.json")
        return result is not None and bool(result.fix or result.aborted_by)

    def current(self) -> str:
        link = self.app.paths.current
        return link.resolve().name if link.exists() else ""


def fake_stages(world: World) -> None:
    """In the process of a verb: stages that need an engine, a repository or systemd do nothing."""

    def nothing(*_: object) -> None:
        return

    def start(release: Release) -> None:
        world.running.write_text(release.plan.id)

    def verify(release: Release) -> None:
        if world.broken == "verify":
            raise Failure("it does not answer", fix="look at its log")

    def activate(release: Release) -> None:
        start(release)
        if world.broken == "restore":
            raise Failure("the previous one does not answer", fix="look at its log")

    def undo_first(release: Release) -> Existing:
        world.running.unlink(missing_ok=True)
        return Existing((), ())

    fakes: dict[str, Callable[[Release], None]] = dict.fromkeys(
        ("preflight", "source", "render", "build", "migrate", "nginx"), nothing
    )
    fakes |= {"up": start, "verify": verify}
    for group in ("PREPARING", "ACTIVATING", "PREPARING_ROLLBACK"):
        real = getattr(transaction, group)
        changed = tuple(replace(s, run=fakes.get(s.name, s.run)) for s in real)
        setattr(transaction, group, changed)
    wait = scheduled_backup._wait_and_back_up
    scheduled_backup._wait_and_back_up = lambda app, log, _, end: wait(app, log, -1, end)
    activation.activate = activate
    activation.restore_cards = nothing
    first_release.note_existing = nothing
    first_release.undo = undo_first
    migrate.stop = nothing
    restore_stages.ensure_resolved = nothing
    restore_stages.run_migration = nothing
    transaction.logs = lambda release: ()
    transaction.schedule.install = nothing
    prune.untag = lambda release, kept: []
    prune.capacity.image_directories = lambda: (world.app.paths.home,)
    fingerprint.keep = nothing
    runner_cleanup.forget = nothing
    printed_secrets.warn = nothing
    removal._down = lambda app, project, log: world.running.unlink(missing_ok=True)
    removal.schedule.remove = nothing
    removal.nginx.remove = nothing
    removal._remove_certificates = nothing


def check(world: World) -> None:
    """What is true whatever was killed, and wherever."""
    home = world.app.paths.home
    aside = ("backups/before-restore-*", "backups/undone-restore-*", "restore*")
    places = [world.data, *(place for pattern in aside for place in home.glob(pattern))]
    beside = [p for p in world.app.paths.shared.glob(".gpuhost-*") if p.is_dir()]
    present = {path.name for place in (*places, *beside) for path in place.rglob("*")}
    lost = sorted(n for n in world.written if str(n) not in present)
    assert not lost, f"acknowledged writes are lost: {lost}"
    made = list(world.backups)
    kept = {each.name for each in stored.complete(world.app.paths)}
    missing = [name for name in made[-KEEP:] if name not in kept]
    assert not missing, f"acknowledged backups are gone: {missing} of {made}; kept: {kept}"
    results_of = {name: world.result(name) for name in world.verified[-KEEP:]}
    pruned = [name for name, result in results_of.items() if not (result and result.verified)]
    assert not pruned, f"verified releases are gone: {pruned} of {world.verified}"


def check_settled(world: World, allowed: set[frozenset[int]]) -> None:
    """After a verb that left nothing unfinished.

    + allowed: the data before it, and of the backups that were restored
    """
    paths = world.app.paths
    assert not paths.attempt.exists(), f"unfinished: {paths.attempt.read_text()}"
    assert not paths.restoring.exists(), f"unfinished: {paths.restoring.read_text()}"
    assert world.in_place() in allowed, f"{sorted(world.in_place())}, not one of {allowed}"
    left = [str(p) for p in paths.shared.rglob(".gpuhost*")]
    assert not left, f"left behind: {left}"
    current = world.current()
    runs = world.running.read_text() if world.running.exists() else ""
    # A release that fails before its first change does not start what a removal has stopped.
    is_stopped = world.is_half_removed and not runs
    assert runs == current or is_stopped, (
        f"{runs or 'nothing'} runs, and {current or 'nothing'} is current"
    )
    if current:
        result = world.result(current)
        assert result is not None and result.verified, f"{current} is current, and not verified"


def shown(world: World) -> str:
    history = world.app.paths.history
    lines = history.read_text().splitlines()[-3:] if history.exists() else []
    states = [json.loads(line)["state"] for line in lines]
    return "\n".join([*world.trace, f"history: {', '.join(states)}"])
