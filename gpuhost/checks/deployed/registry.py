"""Every check of an app that is released, by aspect: its findings are `app.NAME.ASPECT`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gpuhost.appfile.app import App
from gpuhost.checks.finding import Finding, Status, Verdict, later, skip
from gpuhost.checks.registry import found
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.apps import AppState
from gpuhost.snapshot.apps_details import Details, WantedService
from gpuhost.snapshot.containers import Described

NEVER = "it was never released here: app.{}.release"
OLDER = "released by a gpuhost that did not keep what it was like; its next release does"
# So long after its start the engine may still be starting containers.
SETTLING_S = 120


@dataclass(frozen=True)
class AppFile:
    """An app as the repository has it; nothing of it, where nobody has asked for it.

    + revision: what its source has; None: a branch or tag, whose server was not asked
    + wrong: why it could not be read, a line each
    """

    app: App | None = None
    revision: str | None = None
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """An app on a host. state: None: the host has nothing of it."""

    snapshot: Snapshot
    settings: Settings
    name: str
    state: AppState | None
    file: AppFile

    @property
    def details(self) -> Details:
        """Raises NotRead."""
        details = self.state.details if self.state else "nothing of it is here"
        if isinstance(details, str):
            raise NotRead(details)
        return details

    @property
    def containers(self) -> tuple[Described, ...]:
        """Those of its Compose project. Raises NotRead."""
        if self.snapshot.docker.engine is None:
            raise NotRead(self.snapshot.docker.engine_complaint)
        assert self.state is not None
        return self.snapshot.containers.of_project(self.state.project)

    @property
    def running(self) -> list[tuple[Described, WantedService]]:
        """Containers at work for services that are to run. Raises NotRead."""
        wanted = self.details.services
        found = [one for one in self.containers if one.service in wanted and one.running]
        return [(one, wanted[one.service]) for one in found]

    @property
    def site_is_self_signed(self) -> bool:
        details = self.state.details if self.state else ""
        site = None if isinstance(details, str) else details.site
        return site is not None and site.certificate == "self-signed"

    @property
    def again(self) -> str:
        """What releases it once more."""
        return f"pyinfra INVENTORY deploys/app.py --data app={self.name}"

    def since(self, moment: int | None) -> float:
        """Seconds until the reading; without a moment, very many."""
        return float("inf") if moment is None else self.snapshot.system.now - moment


Judge = Callable[[Subject], Verdict]


@dataclass(frozen=True)
class ReleasedCheck:
    """meaning: what is so when the check is ok, in one sentence, for the reference page.

    + of_release: it speaks of a verified release, and while another one is under way of nothing
    + settles: right after the engine's start it says nothing bad
    """

    aspect: str
    meaning: str
    judge: Judge
    of_release: bool = True
    settles: bool = False

    @property
    def id(self) -> str:
        return f"app.NAME.{self.aspect}"

    def find(self, subject: Subject) -> Finding:
        """Judge it. What could not be read becomes `unknown`, with the reason."""
        return found(f"app.{subject.name}.{self.aspect}", partial(self._judged, subject))

    def _judged(self, subject: Subject) -> Verdict:
        state = subject.state
        if state and state.under_way and self.of_release:
            words = (state.under_way.kind, state.under_way.id, "is under way")
            return later(" ".join(filter(None, words)))
        if self.aspect != "release" and (state is None or state.current is None):
            return skip(NEVER.format(subject.name))
        verdict = self.judge(subject)
        started = subject.snapshot.docker.service.started if self.settles else None
        if verdict.status in (Status.FAIL, Status.WARN) and subject.since(started) < SETTLING_S:
            return later(f"the engine started {subject.since(started):.0f} s ago")
        return verdict


_checks: dict[str, ReleasedCheck] = {}


def released_check(
    aspect: str, meaning: str, *, of_release: bool = True, settles: bool = False
) -> Callable[[Judge], ReleasedCheck]:
    """Register a function of a Subject under an aspect; it may raise NotRead."""

    def register(judge: Judge) -> ReleasedCheck:
        if aspect in _checks:
            raise ValueError(f"two checks of {aspect}")
        _checks[aspect] = ReleasedCheck(aspect, meaning, judge, of_release, settles)
        return _checks[aspect]

    return register


def registered() -> list[ReleasedCheck]:
    """Every check that has been imported, by aspect."""
    return [_checks[aspect] for aspect in sorted(_checks)]
