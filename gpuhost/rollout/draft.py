"""What a release would do on one host: planned from a snapshot, checked, and described."""

from __future__ import annotations

import getpass
import socket
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from gpuhost.appfile.errors import BadApp
from gpuhost.checks.deployed import repaired_by_a_release
from gpuhost.checks.deployed.containers import not_running
from gpuhost.checks.deployed.deployed_app import AppFile, DeployedApp
from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.preflight import preflight
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.domain.moment import utc
from gpuhost.domain.plain_text import plain
from gpuhost.release.notes import notes
from gpuhost.release.overlay import patches_in_words
from gpuhost.release.planning import (
    RELEASE_AND_RESTORE,
    RenderedFiles,
    plan_release,
    render_files,
)
from gpuhost.release.resolved_app import ResolvedApp
from gpuhost.release.source import ResolvedSource, short_revision
from gpuhost.release.variant import ChosenVariant, NoVariant, choose_variant
from gpuhost.rollout.bundle import Bundle, bundle
from gpuhost.rollout.deliver import StartRequest, resume_unit_text
from gpuhost.rollout.runner_file import runner_file
from gpuhost.runner.contract import FAILED, RESTORE_FAILED
from gpuhost.runner.plan import Plan
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.app_state import AppState

# Beyond the limit of the release and of restoring the previous one.
SPARE_SECONDS = 600
STAMP = "%Y%m%d-%H%M%S"
STAMP_LENGTH = len("20261122-010203")


class StartRefused(Exception):
    """Every reason why nothing is started, a line each. Nothing was changed."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(plain(line) for line in lines)
        super().__init__("; ".join(self.lines))


@dataclass(frozen=True)
class Draft:
    """A release of an app on one host.

    + state: of the app on the host; None: never released on it
    + drifted: failed checks of the current release that the same release would repair
    """

    resolved: ResolvedApp
    variant: ChosenVariant
    plan: Plan
    files: RenderedFiles
    state: AppState | None
    services: tuple[str, ...]
    drifted: tuple[Finding, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether a release with the same inputs and secrets is current and verified."""
        state = self.state
        current = state.current_release if state else None
        return (
            state is not None
            and current is not None
            and current.verified
            and current.inputs == self.plan.inputs
            and state.given is not None
            and state.given.sha256 == self.resolved.secrets.sha256()
            and state.attempt is None
            and state.restoring is None
            and not restore_failed(state)
            and not self.drifted
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What differs from Compose in the project's own directory, a line each."""
        resolved, args = self.resolved, self.plan.build.args
        return tuple(map(plain, notes(resolved.app, self.variant, args, resolved.secrets)))

    @property
    def sentence(self) -> str:
        """The revisions, the variant, the services, the patches, and what it repairs."""
        current = self.state.current_release if self.state else None
        new = short_revision(self.plan.revision)
        change = (
            f"revision {short_revision(current.revision)} -> {new}"
            if current
            else f"first release, revision {new}"
        )
        return plain(
            f"{self.plan.app}: {change}; "
            f"{self.variant.sentence}; "
            f"services: {', '.join(self.services)}"
            + "".join(f"; {words}" for words in self._patches)
            + "".join(f"; {one.id}: {one.actual}" for one in self.drifted)
        )

    @property
    def _patches(self) -> tuple[str, ...]:
        overlay = self.resolved.source.overlay if self.resolved.source else None
        return patches_in_words(overlay, self.plan.source.edits if self.plan.source else ())

    def start_request(self, snapshot: Snapshot) -> StartRequest:
        """What to send to the host; the id is made from the host's own clock."""
        plan = replace(self.plan, id=release_id(snapshot, self.plan.app, self.plan.inputs))
        return StartRequest(
            app=plan.app,
            id=plan.id,
            by=plan.by,
            verb=("release",),
            limit_s=RELEASE_AND_RESTORE * plan.limit_s + SPARE_SECONDS,
            bundle=self._bundle(plan),
            runner=runner_file().name,
        )

    def _bundle(self, plan: Plan) -> Bundle:
        source = self.resolved.source
        return bundle(
            plan,
            self.resolved.secrets,
            compose=self.files.compose,
            nginx=self.files.nginx,
            archive=source.archive if source else None,
            overlay=source.overlay.content if source and source.overlay else None,
            runner=runner_file().data,
            unit=resume_unit_text(),
        )


def restore_failed(state: AppState) -> bool:
    """The newest release that changed the host failed, and the previous one was not restored."""
    results = (release.result for release in state.releases if release.result)
    newest = next((one for one in results if one.state != FAILED), None)
    return newest is not None and newest.state == RESTORE_FAILED


def draft_release(resolved: ResolvedApp, snapshot: Snapshot, settings: Settings) -> Draft:
    """What a release would do on this host.

    Raises StartRefused, with every reason.
    """
    app = resolved.app
    variant = choose_variant(app, snapshot, settings)
    draft: Draft | None = None
    errors = [line for line in resolved.errors if line not in resolved.secret_errors]
    try:
        state = snapshot.apps.get(app.name)
        if isinstance(variant, ChosenVariant) and resolved.source:
            draft = _draft(resolved, resolved.source, variant, state, snapshot, settings)
    except BadApp as error:
        errors += error.lines
    except NotRead as error:
        errors.append(f"{app.name}: {error}")
    # A release that is already current needs no free disk, memory or port.
    if draft and not resolved.errors and draft.is_unchanged:
        return draft
    findings = preflight(snapshot, app, variant, settings, secrets=resolved.secret_errors)
    errors += _sentences(findings)
    if errors or draft is None:
        raise StartRefused(errors or [_reason(variant)])
    return draft


def _draft(
    resolved: ResolvedApp,
    source: ResolvedSource,
    variant: ChosenVariant,
    state: AppState | None,
    snapshot: Snapshot,
    settings: Settings,
) -> Draft:
    """Raises BadApp or NotRead."""
    app, by = resolved.app, current_user()
    draft = Draft(
        resolved,
        variant,
        plan_release(
            app,
            variant,
            settings,
            snapshot,
            revision=source.revision,
            overlay=source.overlay.revision if source.overlay else "",
            by=by,
        ),
        render_files(app, snapshot),
        state,
        tuple(Proposal(snapshot, app, variant, settings).services),
    )
    if not draft.is_unchanged:
        return draft
    return replace(draft, drifted=_drifted(snapshot, settings, app.name))


def _drifted(snapshot: Snapshot, settings: Settings, name: str) -> tuple[Finding, ...]:
    """Why the current release is not as it was verified. What does not run is not unchanged."""
    repaired = repaired_by_a_release(snapshot, settings, name)
    deployed = DeployedApp(snapshot, settings, name, snapshot.apps.get(name), AppFile())
    id = f"app.{name}.containers"
    if id in (one.id for one in repaired):
        return repaired
    try:
        stopped = "; ".join(not_running(deployed))
    except NotRead as error:
        # Without an engine, preflight says so.
        stopped = str(error) if snapshot.docker.engine is None else ""
    return (*repaired, Finding(Status.FAIL, actual=stopped, id=id)) if stopped else repaired


def _reason(variant: ChosenVariant | NoVariant) -> str:
    return variant.reason if isinstance(variant, NoVariant) else "nothing to release"


def _sentences(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.status in (Status.FAIL, Status.UNKNOWN):
            expected = f" (expected: {finding.expected})" if finding.expected else ""
            fix = f"; {finding.fix}" if finding.fix else ""
            *first, last = finding.actual.splitlines() or [""]
            yield from (f"{finding.id}: {line}" for line in first)
            yield f"{finding.id}: {last}{expected}{fix}"


def release_id(snapshot: Snapshot, app: str, inputs: str) -> str:
    """The host's time and a part of the hash of inputs.

    If the host's clock was set back, the id is one second after the largest one: releases of an
    older gpuhost are sorted by it.
    """
    when = utc(snapshot.system.now).strftime(STAMP)
    state = snapshot.apps.get(app)
    newest = max((one.id[:STAMP_LENGTH] for one in state.releases), default="") if state else ""
    if when <= newest:
        with suppress(ValueError):
            when = time.strftime(STAMP, time.gmtime(timegm(time.strptime(newest, STAMP)) + 1))
    return f"{when}-{inputs[:8]}"


def current_user() -> str:
    """user@machine, for the host's history."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
