"""Whether the app's file and settings in the repository are what was released.

What reads and plans apps takes long to import: hosts without apps do not need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpuhost.appfile.errors import BadApp
from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, later, ok, unknown, warn
from gpuhost.snapshot.app_state import AppState, ReleaseState

if TYPE_CHECKING:
    from gpuhost.appfile.app import App

NOT_COMPARED = "not compared: the newest revision of {}, and secrets"
BAD_FILE = "correct the app file; the current release continues to run"


@deployed_check(
    "release",
    "The app is listed in `apps`, released, and its file and settings would make the same release.",
)
def release(deployed: DeployedApp) -> Verdict:
    if deployed.name not in deployed.settings.apps:
        return warn(
            f"{deployed.name} in `apps`",
            "released on this host, but not listed",
            fix=f'add "{deployed.name}" to apps of this host, or remove it: '
            f"pyinfra INVENTORY deploys/remove.py --data app={deployed.name}",
        )
    state, app = deployed.state, deployed.file.app
    if state is None or deployed.is_new:
        return fail("released", _never_released(state), fix=deployed.release_command)
    if app is None:
        reason = "; ".join(deployed.file.errors) or "its file was not read"
        return unknown(reason, fix=BAD_FILE)
    current = state.current_release
    if current is None:
        return unknown(f"its current release, {state.current}, is not on the host")
    try:
        return _compare(deployed, app, current)
    except BadApp as error:
        return unknown("; ".join(error.lines), fix=BAD_FILE)


def _never_released(state: AppState | None) -> str:
    newest = state.newest if state else None
    if newest is None or newest.result is None:
        return "never released on this host"
    return f"no release was ever verified; the last failed: {newest.result.said}"


def _compare(deployed: DeployedApp, app: App, current: ReleaseState) -> Verdict:
    from gpuhost.release.planning import plan_release
    from gpuhost.release.source import short_revision
    from gpuhost.release.variant import NoVariant, choose_variant

    snapshot, settings = deployed.snapshot, deployed.settings
    if not app.is_complete:
        return later(f"its Compose files are in {_repository(app)}: --dry compares them")
    choice = choose_variant(app, snapshot, settings)
    if isinstance(choice, NoVariant):
        return later(f"the next release is not known: {choice.reason}")
    by_host = choice.without_card and settings.gpu != "none"
    if deployed.details.with_gpu and by_host:
        return later(f"it was released with a card, but now {choice.why}")
    if app.block.nginx:
        # The site differs on a host with IPv6, which its sockets show.
        snapshot.probes.output("listeners")
    revision = deployed.file.revision or current.revision
    overlay = deployed.file.overlay
    plan = plan_release(app, choice, settings, snapshot, revision=revision, overlay=overlay, by="")
    evidence = _not_compared(deployed, app)
    if plan.inputs == current.inputs:
        return ok(f"revision {short_revision(current.revision)}", evidence=evidence)
    differing = list(_differing(deployed, app, current))
    others = "its overlay, settings or host" if overlay else "its settings or host"
    actual = f"the repository differs: {', '.join(differing or [others])}"
    if current.rollback_of:
        actual = f"rolled back to {current.rollback_of}; {actual}"
    return fail("as in the repository", actual, evidence=evidence, fix=deployed.release_command)


def _differing(deployed: DeployedApp, app: App, current: ReleaseState) -> Iterator[str]:
    from gpuhost.release.planning import render_files
    from gpuhost.release.source import short_revision

    if deployed.file.revision not in (None, current.revision):
        revision = short_revision(str(deployed.file.revision))
        yield f"revision {short_revision(current.revision)} -> {revision}"
    texts = render_files(app, deployed.snapshot)
    rendered = {"compose.yaml": texts.compose, "nginx.conf": (texts.nginx or "").encode()}
    for name, text in rendered.items():
        released = deployed.details.rendered.get(name, "")
        if released != (hashlib.sha256(text).hexdigest() if text else ""):
            yield f"{app.path.name if name == 'compose.yaml' else name} has changed"


def _not_compared(deployed: DeployedApp, app: App) -> str:
    if deployed.file.revision is not None or app.block.source is None:
        return "secrets were not compared" if app.block.secrets else ""
    return NOT_COMPARED.format(_repository(app))


def _repository(app: App) -> str:
    source = app.block.source
    return f"{source.ref} of {source.git}" if source else ""
