"""Sections of the app file become parts of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel

from gpuhost.appfile.verify import Expect
from gpuhost.release.conversion import convert
from gpuhost.runner import plan


class Item(BaseModel):
    size: int = 1


class Section(BaseModel):
    text: str | None = None
    numbers: tuple[int, ...] = ()
    item: Item | None = None
    items: tuple[Item, ...] = ()
    by_name: dict[str, Item] = {}
    labels: dict[str, str] = {}
    not_in_the_plan: int = 5


@dataclass(frozen=True)
class PlanItem:
    name: str = ""
    size: int = 0


@dataclass(frozen=True)
class PlanSection:
    made: str
    text: str = "default"
    numbers: tuple[int, ...] = ()
    item: PlanItem | None = None
    items: tuple[PlanItem, ...] = ()
    by_name: tuple[PlanItem, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


def test_fields_of_the_same_name_are_copied() -> None:
    section = Section(
        text="x",
        numbers=(1, 2),
        item=Item(size=2),
        items=(Item(size=3),),
        by_name={"a": Item(size=4), "b": Item()},
        labels={"k": "v"},
    )
    assert convert(PlanSection, section, made="here") == PlanSection(
        made="here",
        text="x",
        numbers=(1, 2),
        item=PlanItem(size=2),
        items=(PlanItem(size=3),),
        by_name=(PlanItem("a", 4), PlanItem("b", 1)),
        labels={"k": "v"},
    )


def test_without_a_value_the_plan_has_its_default() -> None:
    assert convert(PlanSection, Section(), made="") == PlanSection("")


def test_given_values_win() -> None:
    assert convert(PlanSection, Section(text="x"), made="", text="y").text == "y"


def test_a_field_with_an_alias() -> None:
    expect = Expect.model_validate({"json": {"status": "ok"}})
    assert convert(plan.Expect, expect).json == {"status": "ok"}
