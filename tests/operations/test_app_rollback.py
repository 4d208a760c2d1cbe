"""The target of a rollback, and the reasons for none."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gpuhost.operations import app_rollback
from gpuhost.operations.app_operation import Action, NoChange
from gpuhost.operations.app_rollback import from_and_to
from gpuhost.rollout.draft import StartRefused
from gpuhost.runner.contract import Operation, Result
from gpuhost.settings import Settings
from gpuhost.snapshot.app_state import ReleaseState
from gpuhost.snapshot.apps import Apps, _app

GOOD, BAD = Result.lenient({"state": "verified"}), Result.lenient({"state": "restored"})


def _release(id: str, result: Result | None = GOOD, of: str = "") -> ReleaseState:
    return ReleaseState(id, f"inputs of {id}", f"revision of {id}", "me@here", "tts", of, result)


def _apps(*releases: ReleaseState, **more: Any) -> Apps:
    current = next((release.id for release in releases if release.verified), None)
    state = _app({"name": "tts"}, {})
    state = replace(state, current=current, releases=releases)
    return Apps({"tts": replace(state, **more)}, ())


@pytest.mark.parametrize(
    ("releases", "requested", "target"),
    [
        ([_release("3"), _release("2"), _release("1")], None, "2"),
        ([_release("3"), _release("2", BAD), _release("1")], None, "1"),
        ([_release("4", BAD), _release("3"), _release("2", None), _release("1")], None, "1"),
        ([_release("3"), _release("2"), _release("1")], "1", "1"),
        # A rollback's copy counts as its original: the next rollback goes further back, and never
        # to the release that was rolled back from.
        ([_release("4", of="2"), _release("3"), _release("2"), _release("1")], None, "1"),
        ([_release("3", of="2"), _release("2"), _release("1")], None, "1"),
        ([_release("5"), _release("4", of="2"), _release("3"), _release("2")], None, "3"),
        ([_release("3"), _release("2"), _release("1")], "revision of 1", "1"),
        ([_release("2"), _release("1")], "2", "2"),
    ],
)
def test_target(releases: list[ReleaseState], requested: str | None, target: str) -> None:
    current, chosen = from_and_to(_apps(*releases), "tts", requested)
    assert chosen.id == target
    assert current and current.id == next(release.id for release in releases if release.verified)


DOWN = Result.lenient({"state": "restore-failed"})


@pytest.mark.parametrize(
    ("releases", "requested", "expected"),
    [
        # The current release, which did not start again, is the target.
        ([_release("3", DOWN), _release("2"), _release("1")], None, "rolls back to 2 ("),
        ([_release("3", DOWN), _release("2")], None, "rolls back to 2 ("),
        ([_release("3", DOWN), _release("2")], "2", "rolls back to 2 ("),
        ([_release("3", DOWN), _release("2"), _release("1")], "1", "rolls back to 1 ("),
        ([_release("4", BAD), _release("3", DOWN), _release("2")], "2", None),
    ],
)
def test_a_release_that_did_not_start_again_is_the_target(
    monkeypatch: pytest.MonkeyPatch,
    releases: list[ReleaseState],
    requested: str | None,
    expected: str | None,
) -> None:
    snapshot = SimpleNamespace(apps=_apps(*releases))
    monkeypatch.setattr(app_rollback, "read", lambda settings: snapshot)
    decided = app_rollback.decide("tts", Settings(), requested)
    if expected is None:
        assert isinstance(decided, NoChange)
        assert "is already running" in decided.why
    else:
        assert isinstance(decided, Action)
        assert expected in decided.does


@pytest.mark.parametrize(
    ("apps", "requested", "says"),
    [
        (Apps({}, ()), None, "it was never released on this host; released apps: none"),
        (_apps(_release("1", BAD)), None, "no release of it was ever verified on this host"),
        (_apps(_release("2"), _release("1", BAD)), None, "there is no verified release before"),
        (_apps(_release("2"), _release("1", BAD)), "1", "1 is not a verified release of .*: 2$"),
        (_apps(_release("2", of="1")), None, "there is no verified release before"),
        (_apps(_release("2")), "revisi", "revisi is not a verified release .*: 2$"),
        (_apps(_release("2")), "nothing", "nothing is not a verified release .*: 2$"),
        (
            _apps(_release("2"), at_work=True, attempt=Operation("restore", "b1", "ann@desk", 0)),
            None,
            "restore b1 is under way; wait for it, or end it: gpuhost abort INVENTORY tts",
        ),
    ],
)
def test_every_reason_to_refuse(apps: Apps, requested: str | None, says: str) -> None:
    with pytest.raises(StartRefused, match=says):
        from_and_to(apps, "tts", requested)


def test_the_order_of_releases_is_the_hosts_not_that_of_their_ids() -> None:
    """The clock was ahead when the first one was made."""
    releases = [_release("2026-3"), _release("2020-2"), _release("2030-1")]
    _, chosen = from_and_to(_apps(*releases), "tts", None)
    assert chosen.id == "2020-2"
