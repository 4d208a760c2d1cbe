"""A field that the plan got later changes nothing for an app that does not use it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpuhost.runner.plan import LATER, _values


@dataclass(frozen=True)
class Part:
    keep: int = 7
    since_then: int | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    labels: dict[str, str] = field(default_factory=dict)


def test_at_its_default_it_is_left_out() -> None:
    assert _values(Whole((Part(),), {"a": "b"})) == {"parts": [{"keep": 7}], "labels": {"a": "b"}}


def test_with_another_value_it_is_in_the_plan() -> None:
    assert _values(Whole((Part(since_then=3),)))["parts"] == [{"keep": 7, "since_then": 3}]
