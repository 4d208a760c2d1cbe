"""Whether what the repository wants of an app is what was released."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.checks.deployed.registry import Subject, released_check
from gpuhost.checks.finding import Verdict, fail, later, ok, unknown, warn
from gpuhost.release.planning import plan_release, render_files
from gpuhost.release.source import short_revision
from gpuhost.release.variant import ChosenVariant, NoVariant, choose_variant
from gpuhost.snapshot import NotRead
from gpuhost.snapshot.apps import AppState, Release

NOT_ASKED = "what {} has now, and secrets, were not asked for"


def is_new(subject: Subject) -> bool:
    """Whether no release of it was ever verified on this host."""
    return subject.state is None or subject.state.current is None


@released_check(
    "release",
    "The app is listed in `apps`, released, and its file and settings would make the same release.",
)
def release(subject: Subject) -> Verdict:
    if subject.name not in subject.settings.apps:
        return warn(
            f"{subject.name} in `apps`",
            "it is released here, and nobody lists it",
            fix=f'put "{subject.name}" into apps of this host, or take it away: '
            f"pyinfra INVENTORY deploys/remove.py --data app={subject.name}",
        )
    state, app = subject.state, subject.file.app
    if state is None or is_new(subject):
        return fail("released", _never(state), fix=subject.again)
    if app is None:
        said = "; ".join(subject.file.wrong) or "its file was not read"
        return unknown(said, fix="mend the app file; the release runs on")
    current = state.current_release
    if current is None:
        return unknown(f"its current release, {state.current}, is not on the host")
    try:
        return _compared(subject, app, current)
    except BadApp as error:
        return unknown("; ".join(error.lines), fix="mend the app file; the release runs on")


def _never(state: AppState | None) -> str:
    newest = state.newest if state else None
    if newest is None or newest.result is None:
        return "never released here"
    return f"no release was ever verified; the last failed: {newest.result.said}"


def _compared(subject: Subject, app: App, current: Release) -> Verdict:
    snapshot, settings = subject.snapshot, subject.settings
    choice = choose_variant(app.block, snapshot, settings)
    if isinstance(choice, NoVariant):
        return later(f"what would be released cannot be told: {choice.reason}")
    by_host = choice.without_card and settings.gpu != "none"
    if subject.details.with_gpu and by_host:
        return later(f"it was released with a card, and as the host is now {choice.why}")
    if app.block.nginx:
        # A site is another one where the host has IPv6, which its sockets tell.
        snapshot.probes.output("listeners")
    revision = subject.file.revision or current.revision
    plan = plan_release(app, choice, settings, snapshot, revision=revision, by="")
    evidence = _not_asked(subject, app)
    if plan.inputs == current.inputs:
        return ok(f"revision {short_revision(current.revision)}", evidence=evidence)
    differing = list(_differing(subject, app, choice, current))
    if not differing and snapshot.docker.engine is None:
        # What differs may be what its version decides.
        raise NotRead(snapshot.docker.engine_complaint)
    said = f"another release is wanted: {', '.join(differing or ['its settings or host'])}"
    if current.rollback_of:
        said = f"rolled back to {current.rollback_of}; {said}"
    return fail("what the repository says", said, evidence=evidence, fix=subject.again)


def _differing(
    subject: Subject, app: App, choice: ChosenVariant, current: Release
) -> Iterator[str]:
    if subject.file.revision not in (None, current.revision):
        there = short_revision(str(subject.file.revision))
        yield f"revision {short_revision(current.revision)} -> {there}"
    texts = render_files(app, choice, subject.snapshot)
    rendered = {"compose.yaml": texts.compose, "nginx.conf": (texts.nginx or "").encode()}
    if subject.snapshot.docker.engine is not None:
        rendered["compose.override.yaml"] = texts.override.encode()
    for name, text in rendered.items():
        was = subject.details.rendered.get(name, "")
        if was != (hashlib.sha256(text).hexdigest() if text else ""):
            yield f"{app.path.name} has changed" if name == "compose.yaml" else f"another {name}"


def _not_asked(subject: Subject, app: App) -> str:
    if subject.file.revision is not None or app.block.source is None:
        return "secrets were not asked for" if app.block.secrets else ""
    return NOT_ASKED.format(f"{app.block.source.ref} of {app.block.source.git}")
