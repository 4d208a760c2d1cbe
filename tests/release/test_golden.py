"""Rendered files for apps and hosts, compared with golden files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuhost.release.planning import plan_release, render_files
from gpuhost.runner.plan import load
from tests.release.cases import CPU, DECLARED, GOLDEN, P40, app, chosen, golden_files, host


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_rendered_file_is_unchanged(name: str) -> None:
    """After an intended change: python -m tests.release.cases"""
    assert golden_files()[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_rendered() -> None:
    assert set(golden_files()) == {path.name for path in GOLDEN.iterdir()}


def test_the_runner_reads_the_plan_unchanged() -> None:
    for on in (CPU, P40):
        path = GOLDEN / f"whole.{on}.plan.json"
        assert load(path).text() == path.read_text(encoding="utf-8")


def test_a_release_has_the_users_file_unchanged() -> None:
    app_file = app("hostile")
    assert render_files(app_file, host(CPU)).compose == app_file.path.read_bytes()


def _inputs(*, revision: str = "a", by: str = "x", release_id: str = "1", on: str = CPU) -> str:
    app_file = app("whole")
    return plan_release(
        app_file,
        chosen(app_file, on),
        DECLARED,
        host(on),
        revision=revision,
        by=by,
        release_id=release_id,
    ).inputs


def test_the_inputs_depend_on_revision_and_host_only() -> None:
    assert _inputs() == _inputs(by="another@machine", release_id="2")
    assert len({_inputs(), _inputs(revision="b"), _inputs(on=P40)}) == 3


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ({"text": b"#\n"}, True),
        ({"build_args": {"A": "b"}}, True),
        ({"adopt": True}, False),
        ({"memory_min_gb": 1.0}, False),
    ],
)
def test_which_settings_change_the_inputs(change: dict[str, object], is_another: bool) -> None:
    app_file, snapshot = app("whole"), host(CPU)
    choice = chosen(app_file, CPU)
    before = plan_release(app_file, choice, DECLARED, snapshot, revision="a", by="x").inputs
    declared = DECLARED
    if "text" in change:
        app_file = replace(app_file, text=app_file.text + b"#\n")
    else:
        declared = DECLARED.model_copy(update=change)
    after = plan_release(app_file, choice, declared, snapshot, revision="a", by="x").inputs
    assert (after != before) is is_another


def test_a_newer_driver_does_not_change_the_inputs() -> None:
    """The same card with another driver runs the same containers."""
    app_file, snapshot = app("whole"), host(P40)
    choice = chosen(app_file, P40)
    (service, reserved), *_ = choice.reservations.items()
    driver = replace(reserved.card.driver, numbers=(580, 1), text="580.1")
    newer = replace(reserved, card=replace(reserved.card, driver=driver))
    after = replace(choice, reservations={service: newer})
    plans = [
        plan_release(app_file, c, DECLARED, snapshot, revision="a", by="x") for c in (choice, after)
    ]
    assert plans[0].gpu != plans[1].gpu
    assert plans[0].inputs == plans[1].inputs


def test_other_cards_change_the_inputs() -> None:
    app_file, snapshot = app("whole"), host(P40)
    choice = chosen(app_file, P40)
    (service, reserved), *_ = choice.reservations.items()
    other = replace(reserved, device_ids=("GPU-1",), is_decided=True)
    after = replace(choice, reservations={service: other})
    plans = [
        plan_release(app_file, c, DECLARED, snapshot, revision="a", by="x") for c in (choice, after)
    ]
    assert plans[1].gpu[0].device_ids == ("GPU-1",)
    assert plans[0].inputs != plans[1].inputs
