"""The runner as one file: reproducible, and with the standard library only."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import gpuhost.runner
from gpuhost.rollout.runner_file import runner_file

PACKAGE = Path(gpuhost.runner.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ALONE = [sys.executable, "-I", "-S"]


def test_the_file_is_reproducible() -> None:
    runner_file.cache_clear()
    first = runner_file()
    runner_file.cache_clear()
    assert runner_file() == first
    digest = hashlib.sha256(first.data).hexdigest()
    assert first.name == f"runner-{digest[:12]}.pyz"


def test_the_file_has_only_the_runner() -> None:
    names = zipfile.ZipFile(BytesIO(runner_file().data)).namelist()
    modules = [f"gpuhost/runner/{path.relative_to(PACKAGE).as_posix()}" for path in MODULES]
    assert names == sorted(["__main__.py", "gpuhost/__init__.py", *modules])
    assert len(modules) > 20


def _run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    file = directory / runner_file().name
    file.write_bytes(runner_file().data)
    return subprocess.run(
        [*ALONE, str(file), *words],
        cwd=directory,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_runner_runs_without_site_packages(tmp_path: Path) -> None:
    done = _run(tmp_path, "status", str(tmp_path / "app"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["app"] == "app"


def test_invalid_arguments_exit_with_2(tmp_path: Path) -> None:
    assert _run(tmp_path, "dance").returncode == 2


def test_every_module_can_be_imported_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / runner_file().name
    file.write_bytes(runner_file().data)
    names = [
        ".".join(("gpuhost.runner", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in MODULES
        if path.stem not in ("__init__", "__main__")
    ]
    program = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1]); "
        "[importlib.import_module(name) for name in sys.argv[2:]]"
    )
    done = subprocess.run(
        [*ALONE, "-c", program, str(file), *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def _imported(path: Path) -> set[str]:
    """Every module that a file imports, including imports inside functions."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= names if node.module == "gpuhost" else {str(node.module)}
    return modules


def test_modules_import_the_standard_library_and_each_other() -> None:
    foreign = {
        f"{path.name}: {name}"
        for path in MODULES
        for name in _imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name != "gpuhost.runner"
        and not name.startswith("gpuhost.runner.")
    }
    assert foreign == set()
