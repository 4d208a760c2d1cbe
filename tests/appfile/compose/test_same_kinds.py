"""What a path is: the same where pyinfra runs and on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.appfile.compose.project_files import Kind, LocalFiles
from gpuhost.runner.resolved import tree

# Files in "at", and what "at" is.
CASES: dict[str, tuple[tuple[str, ...], Kind]] = {
    "a placeholder": ((".gitkeep",), Kind.EMPTY),
    "each placeholder": ((".gitkeep", ".gitignore", ".keep"), Kind.EMPTY),
    "a placeholder in a directory": (("sub/.gitkeep",), Kind.EMPTY),
    "a file": (("a",), Kind.DIRECTORY),
    "a file in a directory": ((".gitkeep", "sub/a"), Kind.DIRECTORY),
    "a directory with a placeholder's name": ((".keep/a",), Kind.DIRECTORY),
    "nothing": ((), Kind.ABSENT),
}
RUNNER = {
    Kind.EMPTY: tree.EMPTY,
    Kind.DIRECTORY: tree.DIRECTORY,
    Kind.ABSENT: tree.ABSENT,
}


@pytest.mark.parametrize(("names", "expected"), CASES.values(), ids=CASES)
def test_a_path_is_the_same_for_controller_and_runner(
    names: tuple[str, ...], expected: Kind, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    for name in ("other", *(f"at/{name}" for name in names)):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    assert LocalFiles(project).kind("at") is expected
    assert tree.read(project, tmp_path / "shared", ["at"])["at"].source == RUNNER[expected]
