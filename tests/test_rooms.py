"""Each package imports only packages below it: docs/architecture.md has the same order."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gpuhost"
ROOMS = (
    "reference",
    "cli",
    "steps",
    "operations",
    "outputs",
    "drift",
    "fleet",
    "rollout",
    "checks",
    "release",
    "plans",
    "facts",
    "snapshot",
    "remote",
    "appfile",
    "settings",
    "domain",
    "runner",
)
# What the controller and its hosts agree on; the rest of the runner is the hosts' own.
SHARED_BY_RUNNER = ("contract", "plan")


@dataclass(frozen=True)
class Import:
    """line: where it stands; name: what is imported, "gpuhost.checks.registry.check"."""

    file: Path
    line: int
    name: str

    @property
    def above(self) -> str:
        """The package that imports."""
        return self.file.relative_to(PACKAGE).parts[0]

    @property
    def below(self) -> str:
        """The package that is imported."""
        return self.name.split(".")[1]

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line}: {self.name}"


def imports_of(file: Path) -> Iterator[Import]:
    """Every import of gpuhost's in a module, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for name in _names(node):
            if name.startswith("gpuhost."):
                yield Import(file, getattr(node, "lineno", 0), name)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return []


IMPORTS = [
    found
    for room in ROOMS
    for file in sorted((PACKAGE / room).rglob("*.py"))
    for found in imports_of(file)
    if found.above != found.below
]


def test_the_root_holds_packages_only() -> None:
    modules = {path.name for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert (modules, packages) == ({"__init__.py"}, set(ROOMS))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room: str) -> None:
    below = ROOMS[ROOMS.index(room) + 1 :]
    assert [str(one) for one in IMPORTS if one.above == room and one.below not in below] == []


def test_a_snapshot_does_not_depend_on_settings() -> None:
    """Decisions that depend on settings are in plans/."""
    pair = ("snapshot", "settings")
    assert [str(one) for one in IMPORTS if (one.above, one.below) == pair] == []


def test_of_the_runner_only_what_it_shares_is_imported() -> None:
    others = [
        str(one)
        for one in IMPORTS
        if one.below == "runner" and one.name.split(".")[2] not in SHARED_BY_RUNNER
    ]
    assert others == []


def test_late_imports_are_seen(tmp_path: Path) -> None:
    late = "def late():\n    import gpuhost.cli.check\n    from gpuhost.drift import trend\n"
    (tmp_path / "module.py").write_text(late)
    names = [one.name for one in imports_of(tmp_path / "module.py")]
    assert names == ["gpuhost.cli.check", "gpuhost.drift.trend"]
