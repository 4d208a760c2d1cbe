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
# The controller shares these with its hosts; it does not import the rest of the runner.
SHARED_BY_RUNNER = ("contract", "plan")


@dataclass(frozen=True)
class Import:
    """An import. line: its line number; name: "gpuhost.checks.registry.check"."""

    file: Path
    line: int
    name: str

    @property
    def importing_package(self) -> str:
        """The package that imports."""
        return self.file.relative_to(PACKAGE).parts[0]

    @property
    def imported_package(self) -> str:
        """The package that is imported."""
        return self.name.split(".")[1]

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line}: {self.name}"


def imports_of(file: Path) -> Iterator[Import]:
    """Every import of gpuhost in a module, including imports inside functions."""
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
    if found.importing_package != found.imported_package
]


def test_the_root_contains_only_packages() -> None:
    modules = {path.name for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert (modules, packages) == ({"__init__.py"}, set(ROOMS))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room: str) -> None:
    allowed = ROOMS[ROOMS.index(room) + 1 :]
    assert [
        str(each)
        for each in IMPORTS
        if each.importing_package == room and each.imported_package not in allowed
    ] == []


def test_a_snapshot_does_not_depend_on_settings() -> None:
    """Decisions that depend on settings are in plans/."""
    pair = ("snapshot", "settings")
    assert [
        str(each) for each in IMPORTS if (each.importing_package, each.imported_package) == pair
    ] == []


def test_only_the_shared_modules_of_the_runner_are_imported() -> None:
    others = [
        str(each)
        for each in IMPORTS
        if each.imported_package == "runner" and each.name.split(".")[2] not in SHARED_BY_RUNNER
    ]
    assert others == []


def test_late_imports_are_found(tmp_path: Path) -> None:
    late = "def late():\n    import gpuhost.cli.check\n    from gpuhost.drift import trend\n"
    (tmp_path / "module.py").write_text(late)
    names = [each.name for each in imports_of(tmp_path / "module.py")]
    assert names == ["gpuhost.cli.check", "gpuhost.drift.trend"]
