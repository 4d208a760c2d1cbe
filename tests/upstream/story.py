"""The releases of one system, from the first to a restored backup; each step must hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.releasing import Ended
from tests.lab.hosts import LabHost
from tests.lab.process import LabError
from tests.upstream.app import UpstreamApp
from tests.upstream.checkout import Revisions
from tests.upstream.system import System

Say = Callable[[str], None]


class NotHeld(Exception):
    """A step did not hold; the message is for a person."""


@dataclass
class Result:
    """What was seen of a system.

    + steps: the steps that held, with their seconds
    + failed: the step that did not hold, and why; None: all held
    """

    system: System
    pinned: str = ""
    proven: str = ""
    steps: dict[str, float] = field(default_factory=dict)
    failed: str | None = None


@dataclass
class Story:
    """The steps, in order.

    + say: called with a line of progress
    """

    system: System
    app: UpstreamApp
    host: LabHost
    revisions: Revisions
    result: Result
    say: Say

    def tell(self) -> None:
        """All steps. Raises NotHeld at the first that does not hold."""
        for step in (
            self.first, self.again, self.next, self.broken, self.rollback, self.backup, self.card
        ):  # fmt: skip
            if step == self.card and not self.system.card_ends:
                continue
            if step == self.backup and not self.system.has_backup:
                continue
            with self._step(step.__name__):
                step()

    def first(self) -> None:
        self._release(self.revisions.good, status=0)
        self.result.proven = self.system.prove(self.host)
        self.system.write(self.host, "written before")

    def again(self) -> None:
        started = self.app.containers(self.host)
        ended = self.app.release(self.host)
        _hold(ended.changed_nothing, "the same again changed something", ended)
        _hold(self.app.containers(self.host) == started, "containers were restarted", ended)

    def next(self) -> None:
        self._release(self.revisions.next, status=0)
        self.system.prove(self.host)
        self._keeps("written before")

    def broken(self) -> None:
        ended = self._release(self.revisions.broken, status=1)
        _hold("rolled back to" in ended.output, "the release was not rolled back", ended)
        self._runs(self.revisions.next)
        self.system.prove(self.host)
        self._keeps("written before")

    def rollback(self) -> None:
        ended = self.app.roll_back(self.host)
        _hold(ended.status == 0, "the rollback failed", ended)
        self._runs(self.revisions.good)
        self.system.prove(self.host)
        self._keeps("written before")

    def backup(self) -> None:
        name = self.system.name
        self.host.run(f"systemctl start gpuhost-backup-{name}.service", timeout=600)
        listed = self.host.run(f"cd {self.app.app.home('backups')} && ls -d *-schedule").stdout
        newest = listed.split()[-1]
        size = f"find {self.app.app.home('backups', newest)} -type f -size +0 | wc -l"
        _hold(int(self.host.run(size).stdout) > 1, f"the backup {newest} is empty")
        self.system.write(self.host, "written after")
        ended = self.app.restore(self.host, newest)
        _hold(ended.status == 0, "the restore failed", ended)
        self._keeps("written before")
        self.system.prove(self.host)

    def card(self) -> None:
        """With the simulated card, up to where only a real one could go on."""
        self.app.use(self.revisions.next)
        ended = self.app.release(self.host, gpu="auto")
        words = self.system.card_ends
        _hold(ended.status == 1 and words in ended.output, f"did not end with {words!r}", ended)
        self._keeps("written before")

    def _release(self, revision: str, *, status: int) -> Ended:
        self.app.use(revision)
        ended = self.app.release(self.host)
        _hold(ended.status == status, f"exit status {ended.status}, not {status}", ended)
        return ended

    def _runs(self, revision: str) -> None:
        found = self.app.revision(self.host)
        _hold(found == revision, f"revision {found[:7]} runs, not {revision[:7]}")

    def _keeps(self, *texts: str) -> None:
        found = self.system.kept(self.host)
        _hold(found == list(texts), f"the data is {found}, not {list(texts)}")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.say(f"{self.system.name}: {name} …")
        began = time.monotonic()
        try:
            yield
        except (AssertionError, LabError, NotHeld) as error:
            raise NotHeld(f"{name}: {error}") from error
        self.result.steps[name] = time.monotonic() - began
        self.say(f"{self.system.name}: {name} held, {self.result.steps[name]:.0f} s")


def _hold(holds: bool, otherwise: str, ended: Ended | None = None) -> None:
    if not holds:
        lines = ended.output.strip().splitlines()[-40:] if ended else []
        raise NotHeld("\n".join((otherwise, *(f"  | {line}" for line in lines))))
