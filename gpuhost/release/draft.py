"""A release as it would be on one host: drawn up from a reading, judged, and told to a person."""

from __future__ import annotations

import getpass
import socket
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from gpuhost.app.errors import BadApp
from gpuhost.checks.app import preflight
from gpuhost.checks.app.registry import Proposal
from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.released import mended_by_a_release
from gpuhost.outputs.table import plain
from gpuhost.release.bundle import Bundle, bundle
from gpuhost.release.deliver import Start, resume_unit
from gpuhost.release.planning import Texts, plan_for, texts_for
from gpuhost.release.runner_file import runner_file
from gpuhost.release.source import short
from gpuhost.release.variant import Choice, Refusal, choose
from gpuhost.release.wanted import Wanted
from gpuhost.runner.contract import FAILED, RESTORE_FAILED
from gpuhost.runner.plan import Plan
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.apps import AppState

# Of the whole release, and of bringing back the one before, which has as long again.
TWICE = 2
SPARE_SECONDS = 600
STAMP = "%Y%m%d-%H%M%S"
STAMP_LENGTH = len("20261122-010203")


class Refused(Exception):
    """Every reason why a release does not begin, a line each; nothing was changed."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(plain(line) for line in lines)
        super().__init__("; ".join(self.lines))


@dataclass(frozen=True)
class Draft:
    """A release of an app on one host.

    + state: the app as the host has it; None: never released there
    + changed: what somebody has changed there since, which a release of the same puts right
    """

    wanted: Wanted
    choice: Choice
    plan: Plan
    texts: Texts
    state: AppState | None
    services: tuple[str, ...]
    changed: tuple[Finding, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """The same inputs and secrets are released and verified, and are what runs."""
        state = self.state
        current = state.current_release if state else None
        return (
            state is not None
            and current is not None
            and current.verified
            and current.inputs == self.plan.inputs
            and state.given is not None
            and state.given.sha256 == self.wanted.given.sha256()
            and state.attempt is None
            and not is_down(state)
            and not self.changed
        )

    @property
    def sentence(self) -> str:
        """`3f2a9c… -> 9bc1d0…`, variant and services."""
        current = self.state.current_release if self.state else None
        new = short(self.plan.revision)
        change = (
            f"revision {short(current.revision)} -> {new}"
            if current
            else f"first release, revision {new}"
        )
        return plain(
            f"{self.plan.app}: {change}; "
            f"{self.choice.sentence}; "
            f"services: {', '.join(self.services)}"
            + "".join(f"; {one.id}: {one.actual}" for one in self.changed)
        )

    def start(self, now: Snapshot) -> Start:
        """What goes to the host, under an id of the host's own clock."""
        plan = replace(self.plan, id=release_id(now, self.plan.app, self.plan.inputs))
        return Start(
            app=plan.app,
            id=plan.id,
            by=plan.by,
            verb=("release",),
            limit_s=TWICE * plan.limit_s + SPARE_SECONDS,
            bundle=self._bundle(plan),
            runner=runner_file().name,
        )

    def _bundle(self, plan: Plan) -> Bundle:
        source = self.wanted.source
        return bundle(
            plan,
            self.wanted.given,
            compose=self.texts.compose,
            override=self.texts.override,
            nginx=self.texts.nginx,
            archive=source.archive if source else None,
            runner=runner_file().data,
            unit=resume_unit(),
        )


def is_down(state: AppState) -> bool:
    """An attempt failed and what is current did not come back; nothing has changed that since."""
    results = (release.result for release in state.releases if release.result)
    newest = next((one for one in results if one.state != FAILED), None)
    return newest is not None and newest.state == RESTORE_FAILED


def draft(wanted: Wanted, now: Snapshot, declared: Settings) -> Draft:
    """What would be released on this host.

    Raises Refused, with every reason there is.
    """
    app = wanted.app
    choice = choose(app.block, now, declared)
    state: AppState | None = None
    drawn: Draft | None = None
    wrong = [line for line in wanted.wrong if line not in wanted.secrets_missing]
    try:
        state = now.apps.get(app.name)
        if isinstance(choice, Choice) and wanted.source:
            drawn = Draft(
                wanted,
                choice,
                plan_for(app, choice, declared, now, revision=wanted.source.revision, by=who()),
                texts_for(app, choice, now),
                state,
                _services(wanted, now, choice, declared),
            )
            if drawn.is_unchanged:
                changed = mended_by_a_release(now, declared, app.name)
                drawn = replace(drawn, changed=changed)
    except BadApp as error:
        wrong += error.lines
    except NotRead as error:
        wrong.append(f"{app.name}: {error}")
    # What is released already needs no room for another one.
    if drawn and not wanted.wrong and drawn.is_unchanged:
        return drawn
    findings = preflight(now, app, choice, declared, secrets=wanted.secrets_missing)
    wrong += _in_words(findings)
    if wrong or drawn is None:
        raise Refused(wrong or [_reason(choice)])
    return drawn


def _reason(choice: Choice | Refusal) -> str:
    return choice.reason if isinstance(choice, Refusal) else "there is nothing to release"


def _in_words(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.status in (Status.FAIL, Status.UNKNOWN):
            wanted = f" (wanted: {finding.expected})" if finding.expected else ""
            fix = f"; {finding.fix}" if finding.fix else ""
            yield f"{finding.id}: {finding.actual}{wanted}{fix}"


def _services(wanted: Wanted, now: Snapshot, choice: Choice, declared: Settings) -> tuple[str, ...]:
    return tuple(Proposal(now, wanted.app, choice, declared).services)


def release_id(now: Snapshot, app: str, inputs: str) -> str:
    """When, by the host's clock, and what. Releases are told apart, and put in order, by it.

    Where the clock was set back it is a second after the newest one all the same.
    """
    when = time.strftime(STAMP, time.gmtime(now.system.now))
    state = now.apps.get(app)
    newest = state.newest.id[:STAMP_LENGTH] if state and state.newest else ""
    if when <= newest:
        with suppress(ValueError):
            when = time.strftime(STAMP, time.gmtime(timegm(time.strptime(newest, STAMP)) + 1))
    return f"{when}-{inputs[:8]}"


def who() -> str:
    """Who releases, for the host's history: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
