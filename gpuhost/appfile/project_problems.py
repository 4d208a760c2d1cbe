"""What is wrong with the block and the project's files together, each fault reported once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpuhost.appfile import references
from gpuhost.appfile.compose.project import ComposeProject
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.problems import Problem, key_name, shown
from gpuhost.appfile.schema import KEY


def of_project(
    block: XGpuhost,
    project: ComposeProject,
    directory: Path | None,
    problems: Sequence[Problem],
    app: str,
    *,
    is_valid: bool,
) -> tuple[list[Problem], list[str]]:
    """Problems of the names in the block, and errors of the project's files.

    + directory: of the project on this machine; None: its files are given, or in a repository
    + problems: of the block itself
    + app: its name
    + is_valid: whether every section of the block is valid
    """
    if project.errors and directory and not directory.is_dir() and block.source:
        key_path = ("source", "directory")
        value = shown(key_path, block.source.directory)
        reason = "no such directory on this machine; it is relative to the app file"
        return [Problem((KEY, *key_path), f"{key_name(key_path)} = {value}: {reason}")], []
    if project.errors and _are_misplaced(project, problems):
        return [], []
    # A value is wrong for one reason, and the names of an invalid section are not known.
    wrong = {problem.key_path if is_valid else problem.key_path[:2] for problem in problems}
    return [
        problem
        for problem in references.check(block, project, app)
        if problem.key_path not in wrong and problem.key_path[:2] not in wrong
    ], list(map(str, project.errors))


def _are_misplaced(project: ComposeProject, problems: Sequence[Problem]) -> bool:
    """Whether the project's files were looked for in a wrong place, because the block is wrong."""
    wrong = {str(problem.key_path[1]) for problem in problems if len(problem.key_path) > 1}
    has_unknown = bool(wrong - XGpuhost.model_fields.keys())
    nothing_found = not project.files and not project.inline
    return bool(wrong & {"source", "compose"}) or (has_unknown and nothing_found)
