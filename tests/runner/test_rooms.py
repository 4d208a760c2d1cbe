"""The rooms of the runner form an order: no module imports a room that comes after its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpuhost.runner

PACKAGE = Path(gpuhost.runner.__file__).parent
ORDER = (
    *("contract", "plan", "lib", "failures", "state", "docker", "git", "building", "data"),
    *("site", "resolved", "stages", "__main__"),
)
OUTSIDE = sorted(
    path.relative_to(PACKAGE.parent)
    for path in PACKAGE.parent.rglob("*.py")
    if PACKAGE not in path.parents
)
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def imported(source: str) -> Iterator[str]:
    """Rooms that a module imports, including imports inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not read here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("gpuhost.runner."):
                yield name.split(".")[2]


def test_every_room_is_in_the_order_and_in_the_docstring() -> None:
    assert {room_of(module) for module in MODULES} - {"__init__"} == set(ORDER)
    described = [line.split()[0] for line in (gpuhost.runner.__doc__ or "").splitlines() if line]
    assert [word for word in described if word in ORDER] == list(ORDER[:-1])


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_rooms_before_its_own(module: Path) -> None:
    room = room_of(module)
    allowed = ORDER[: ORDER.index(room) + 1] if room in ORDER else ()
    used = set(imported((PACKAGE / module).read_text(encoding="utf-8")))
    assert used <= set(allowed)


def test_other_packages_import_only_the_contract_and_the_plan() -> None:
    used = {
        (str(module), room)
        for module in OUTSIDE
        for room in imported((PACKAGE.parent / module).read_text(encoding="utf-8"))
    }
    assert used, "no import of the contract was found"
    assert {(module, room) for module, room in used if room not in ("contract", "plan")} == set()


def test_an_import_inside_a_function_is_found() -> None:
    source = "def f():\n    from gpuhost.runner import stages\n    import gpuhost.runner.lib.log\n"
    assert set(imported(source)) == {"stages", "lib"}
