"""The golden cases: directories with the files before, the changed files after, and the mirror."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import Mirror, mirror_called

FIXTURES = Path(__file__).parents[1] / "fixtures" / "apt"


@dataclass(frozen=True)
class Case:
    name: str
    distribution: Distribution
    mirror: Mirror
    with_security: bool
    before: dict[str, str]
    changed: dict[str, str]

    @property
    def files(self) -> list[SourceFile]:
        return [SourceFile(path, content) for path, content in self.before.items()]

    @property
    def after(self) -> dict[str, str]:
        return {**self.before, **self.changed}


def read(directory: Path) -> Case:
    case = json.loads((directory / "case.json").read_text())
    distribution = case["distribution"]
    distribution["foreign_architectures"] = tuple(distribution.get("foreign_architectures", ()))
    return Case(
        name=directory.name,
        distribution=Distribution(**distribution),
        mirror=mirror_called(case["mirror"], https=case.get("https", True)),
        with_security=case.get("with_security", False),
        before=_files(directory / "before"),
        changed=_files(directory / "after"),
    )


def all_cases() -> list[Case]:
    return [read(path.parent) for path in sorted(FIXTURES.glob("*/case.json"))]


def _files(root: Path) -> dict[str, str]:
    return {
        f"/{path.relative_to(root)}": path.read_bytes().decode()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
