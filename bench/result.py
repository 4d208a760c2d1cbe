"""The result of a part: tables and goals, stored as JSON, so that each part can run alone."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")
RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True)
class Table:
    """Headings and rows of words; the first column names the measurement."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Goal:
    """A measured number and its goal.

    + relation: "<=", ">=" or "<"
    + limit: the goal: `measured` must be in that relation to it
    + unit: after both numbers: "x", " ms"
    """

    what: str
    measured: float
    relation: str
    limit: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        return bool(RELATIONS[self.relation](self.measured, self.limit))

    @property
    def words(self) -> tuple[str, str, str]:
        """The measured number, the goal, and whether it is met."""
        measured = f"{self.measured:.2f}{self.unit}"
        return (
            measured,
            f"{self.relation} {self.limit:g}{self.unit}",
            "met" if self.met else "missed",
        )


@dataclass(frozen=True)
class Result:
    """One part.

    + machine: the machine on which it ran, in one line
    + notes: what a reader must know, a paragraph each
    """

    part: str
    title: str
    machine: str
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()
    on: str = field(default_factory=lambda: date.today().isoformat())

    def save(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{self.part}.json").write_text(text, encoding="utf-8")


def load(part: str) -> Result | None:
    """The last result; None: the part was never run."""
    file = FOLDER / f"{part}.json"
    if not file.is_file():
        return None
    values: dict[str, Any] = json.loads(file.read_text("utf-8"))
    values["tables"] = tuple(
        Table(tuple(one["headings"]), tuple(map(tuple, one["rows"]))) for one in values["tables"]
    )
    values["goals"] = tuple(Goal(**one) for one in values["goals"])
    values["notes"] = tuple(values["notes"])
    return Result(**values)


def known(parts: tuple[str, ...]) -> Iterator[Result]:
    """The results of the parts that have been run, in this order."""
    yield from filter(None, map(load, parts))
