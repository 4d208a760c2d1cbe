"""What is rendered for an app and a host, text by text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuhost.release.planning import plan_release, render_files
from gpuhost.runner.plan import load
from tests.release.cases import CPU, DECLARED, GOLDEN, P40, app, chosen, golden_files, host


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_it_is_as_before(name: str) -> None:
    """After a wanted change: python -m tests.release.cases"""
    assert golden_files()[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_no_golden_file_vanished() -> None:
    assert set(golden_files()) == {path.name for path in GOLDEN.iterdir()}


def test_the_runner_reads_the_plan_as_it_was_written() -> None:
    for on in (CPU, P40):
        path = GOLDEN / f"whole.{on}.plan.json"
        assert load(path).text() == path.read_text(encoding="utf-8")


def test_a_release_has_the_users_file_byte_for_byte() -> None:
    one = app("hostile")
    assert render_files(one, chosen(one, CPU), host(CPU)).compose == one.path.read_bytes()


def _inputs(*, revision: str = "a", by: str = "x", release_id: str = "1", on: str = CPU) -> str:
    one = app("whole")
    return plan_release(
        one,
        chosen(one, on),
        DECLARED,
        host(on),
        revision=revision,
        by=by,
        release_id=release_id,
    ).inputs


def test_inputs_are_what_decides_a_release_and_nothing_else() -> None:
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
def test_what_changes_the_inputs(change: dict[str, object], is_another: bool) -> None:
    one, now = app("whole"), host(CPU)
    choice = chosen(one, CPU)
    before = plan_release(one, choice, DECLARED, now, revision="a", by="x").inputs
    declared = DECLARED
    if "text" in change:
        one = replace(one, text=one.text + b"#\n")
    else:
        declared = DECLARED.model_copy(update=change)
    after = plan_release(one, choice, declared, now, revision="a", by="x").inputs
    assert (after != before) is is_another


def test_a_newer_driver_is_no_new_release() -> None:
    """The same card with another driver: what runs is the same."""
    one, now = app("whole"), host(P40)
    choice = chosen(one, P40)
    (service, reserved), *_ = choice.reservations.items()
    driver = replace(reserved.card.driver, numbers=(580, 1), text="580.1")
    newer = replace(reserved, card=replace(reserved.card, driver=driver))
    after = replace(choice, reservations={service: newer})
    plans = [plan_release(one, c, DECLARED, now, revision="a", by="x") for c in (choice, after)]
    assert plans[0].gpu != plans[1].gpu
    assert plans[0].inputs == plans[1].inputs
