"""What a part has found: tables and goals, kept as JSON, so that each part can be run alone."""

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
    """headings and rows of words; the first column names what is measured."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Goal:
    """A number that was wished for beside the one that was measured.

    + relation: "<=", ">=" or "<"
    + unit: behind both numbers: "x", " ms"
    """

    what: str
    measured: float
    relation: str
    wanted: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        return bool(RELATIONS[self.relation](self.measured, self.wanted))

    @property
    def words(self) -> tuple[str, str, str]:
        """Measured, wanted, and whether it is so."""
        measured = f"{self.measured:.2f}{self.unit}"
        return (
            measured,
            f"{self.relation} {self.wanted:g}{self.unit}",
            "met" if self.met else "missed",
        )


@dataclass(frozen=True)
class Result:
    """One part.

    + machine: what it was measured on, in one line
    + notes: what a reader has to know, a paragraph each
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
    """What was found last; None: it was never run."""
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
    """Those that have been run, in this order."""
    yield from filter(None, map(load, parts))
