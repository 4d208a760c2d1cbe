"""The decision of a release: what would be released, and whether that changes anything."""

from __future__ import annotations

from functools import partial

from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.operations.app_operation import Action, NoChange
from gpuhost.operations.reading import read
from gpuhost.release.resolved_app import resolve_app
from gpuhost.rollout.deliver import StartRequest
from gpuhost.rollout.draft import Draft, draft_release
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def decide(app: str, settings: Settings) -> Action | NoChange:
    """Raises StartRefused."""
    snapshot = read(settings)
    planned = draft_release(resolve_app(ctx_state.get(), app), snapshot, settings)
    if planned.is_unchanged:
        return NoChange(f"{planned.sentence}: released and verified")
    return Action(
        planned.sentence,
        f"would release {planned.sentence}",
        partial(_start, planned, snapshot),
        notes=planned.notes,
        first=planned.state.cut_off if planned.state else None,
    )


def _start(planned: Draft, snapshot: Snapshot, host: Host) -> StartRequest:
    return planned.start_request(snapshot)
