"""Files are opened, changed and deleted by path only where no container can write.

Everything else is done by handle: lib/directory_handle.py, opened by data/safe_paths.py.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import gpuhost.runner

PACKAGE = Path(gpuhost.runner.__file__).parent
# The program that is sent to hosts to read them as root.
READER = tuple(PACKAGE.parent / f"snapshot/{name}_on_host.py" for name in ("apps", "files"))
MODULES = (*sorted(PACKAGE.rglob("*.py")), *READER)

# Where the path is the only argument, or there is none: a handle's methods need a name more.
WITHOUT_ARGUMENT = {"rmdir", "unlink", "walk"}
WITH_ONE = {"hardlink_to", "link_to", "rename", "replace", "symlink_to"}
ALWAYS = {
    *("chmod", "connect", "extract", "extractall", "glob", "iterdir", "lchmod", "mkdir"),
    *("read_bytes", "read_text", "rglob", "touch", "write_bytes", "write_text"),
}
OF_OS = {
    *("chmod", "chown", "lchown", "link", "listdir", "listxattr", "lchmod", "makedirs", "mkdir"),
    *(
        "chdir",
        "chroot",
        "fwalk",
        "getxattr",
        "mkfifo",
        "mknod",
        "open",
        "remove",
        "removedirs",
        "removexattr",
        "rename",
        "renames",
    ),
    *("replace", "rmdir", "scandir", "setxattr", "symlink", "truncate", "unlink", "utime", "walk"),
}
# They get open files, or change nothing.
NOT_OF_SHUTIL = {"copyfileobj", "disk_usage"}
ALL_OF_SHUTIL = set(shutil.__all__) - NOT_OF_SHUTIL
OF_PATH = {"open", *WITHOUT_ARGUMENT, *WITH_ONE}
MODULES_OF_PATHS = ("os", "shutil")
# Classes that open the path that they are given.
CONSTRUCTORS = {
    *("BZ2File", "FileIO", "FileInput", "GzipFile", "LZMAFile", "PyZipFile", "TarFile", "ZipFile")
}
# Classes with an `open` of their own.
OPENED = {"Release", "opener"}

# Functions of the runner that take paths: modules, and names of modules.
HELPERS = (
    "gpuhost.runner.lib.files",
    *(f"gpuhost.runner.contract.{name}" for name in ("load_json", "read_state")),
    "gpuhost.runner.contract.read_text",
)
# They get an open file, or only look for a free name.
HARMLESS = ("data_pieces", "move_aside", "pieces")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Why no container can write there -> MODULE:FUNCTION -> what it calls with paths.
ALLOWED: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)


def uses(source: str) -> dict[str, str]:
    """Function -> what it calls with a path, in alphabetical order."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    helpers = {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if alias.name not in HARMLESS
        and (node.module in HELPERS or f"{_package(node.module)}.{alias.name}" in HELPERS)
    }
    found: dict[str, list[str]] = {}
    for function, call in _uses(tree, "", helpers, set()):
        found.setdefault(function, []).append(call)
    return {function: " ".join(sorted(calls)) for function, calls in found.items()}


def _package(module: str | None) -> str:
    """What the contract exports, its modules define."""
    contract = "gpuhost.runner.contract"
    return contract if f"{module}.".startswith(f"{contract}.") else f"{module}"


def _uses(
    node: ast.AST, function: str, helpers: set[str], numbers: set[str]
) -> Iterator[tuple[str, str]]:
    """+ numbers: names of parameters that are whole numbers, which mypy checks"""
    if isinstance(node, FUNCTIONS):
        function = f"{function}.{node.name}" if function else node.name
    if isinstance(node, ast.FunctionDef):
        parameters = (*node.args.args, *node.args.kwonlyargs)
        numbers = {p.arg for p in parameters if p.annotation and ast.unparse(p.annotation) == "int"}
    if isinstance(node, ast.Call) and (name := _of_path(node, helpers, numbers)):
        yield function, name
    if isinstance(node, ast.ImportFrom):
        if node.module in MODULES_OF_PATHS:
            yield function, f"from {node.module} import"
        renamed = (alias.name for alias in node.names if alias.asname)
        yield from ((function, f"{name} as") for name in renamed if name in (*CONSTRUCTORS, "open"))
    if isinstance(node, ast.Import):
        renamed = (alias.name for alias in node.names if alias.asname)
        yield from ((function, f"import {name} as") for name in renamed if name in MODULES_OF_PATHS)
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and child is node.func) and (name := _as_value(child)):
            yield function, name
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, function, helpers, numbers)


def _as_value(node: ast.AST) -> str:
    """Such as in map(os.unlink, paths)."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return ""
    named = {"os": OF_OS, "shutil": ALL_OF_SHUTIL, "Path": {*OF_PATH, *ALWAYS}}
    base = node.value.id
    return f"{base}.{node.attr}" if node.attr in named.get(base, ()) else ""


def _of_path(call: ast.Call, helpers: set[str], numbers: set[str]) -> str:
    keywords = {key.arg for key in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    if name in CONSTRUCTORS:
        return "" if "fileobj" in keywords or _is_open(call.args, numbers) else name
    if isinstance(call.func, ast.Name):
        return name if name in {"open", *helpers} else ""
    if not isinstance(call.func, ast.Attribute):
        return ""
    base = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    if base in helpers:
        return name
    if base == "os":
        by_handle = keywords & {"dir_fd", "src_dir_fd"} or _is_open(call.args, numbers)
        return name if name in OF_OS and not by_handle else ""
    if base == "shutil":
        return "" if name in NOT_OF_SHUTIL else name
    if name == "open":
        return "" if base in OPENED else name
    count = len(call.args)
    if (name in WITHOUT_ARGUMENT and count == 0) or (name in WITH_ONE and count == 1):
        return name
    return name if name in ALWAYS else ""


def _is_open(arguments: list[ast.expr], numbers: set[str]) -> bool:
    """Whether the first one is the number of an open file."""
    first = ast.unparse(arguments[0]) if arguments else ""
    return first in numbers or first.endswith((".number", ".fileno()"))


def of_runner() -> dict[str, str]:
    """MODULE:FUNCTION -> what it calls with paths."""
    return {
        f"{path.name if path in READER else path.relative_to(PACKAGE)}:{function}": calls
        for path in MODULES
        for function, calls in uses(path.read_text(encoding="utf-8")).items()
    }


def test_only_what_is_allowed_opens_by_path() -> None:
    allowed = {item for entries in ALLOWED.values() for item in entries.items()}
    found = set(of_runner().items())
    assert sorted(found - allowed) == [], (
        "open its directory by safe_paths.open_directory, or, if only root can write there, write "
        "it under its reason in test_direct_paths.yaml"
    )
    assert sorted(allowed - found) == [], "no function of the runner does this any more"


def test_each_function_has_one_reason() -> None:
    named = [name for entries in ALLOWED.values() for name in entries]
    assert sorted(set(named)) == sorted(named)


@pytest.mark.parametrize("module", ["stages/render.py", "data/backup.py", "state/lock.py"])
def test_one_more_call_in_any_function_is_found(module: str) -> None:
    source = (PACKAGE / module).read_text(encoding="utf-8")
    before, tree = uses(source), ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in functions:
        node.body.append(ast.parse("path.open()").body[0])
    after = uses(ast.unparse(tree))
    changed = [name for name, calls in after.items() if calls != before.get(name, "")]
    assert functions
    assert sorted(name.rpartition(".")[2] for name in changed) == sorted(
        node.name for node in functions
    )


def test_no_tree_is_deleted_by_path() -> None:
    """A container may have made it deeper than any path, or mounted something in it."""
    assert {name for name, calls in of_runner().items() if "rmtree" in calls.split()} == set()


@pytest.mark.parametrize(
    "call",
    [
        *("path.open()", "path.open('rb')", "open(path)", "os.open(path, os.O_RDONLY)"),
        *("path.rename(other)", "path.replace(other)", "os.rename(path, other)", "path.unlink()"),
        *("path.unlink(missing_ok=True)", "path.chmod(0o644)", "os.chown(path, 1, 1)"),
        *("path.rglob('*')", "path.glob('*')", "path.iterdir()", "os.walk(path)", "path.walk()"),
        *("os.scandir(path)", "shutil.rmtree(path)", "shutil.copy2(path, other)", "path.mkdir()"),
        *("path.write_text(text)", "path.write_bytes(b'')", "path.read_text()", "path.touch()"),
        *("path.symlink_to(other)", "path.hardlink_to(other)", "sqlite3.connect(path)"),
        *("tarfile.open(path)", "tar.extractall(path)", "DirectoryHandle.open(path)"),
        *("list(map(os.unlink, paths))", "partial(Path.read_text, path)", "[shutil.rmtree]"),
        *("os.utime(path)", "os.setxattr(path, 'a', b'')", "self.path.parent.rmdir()"),
        *("os.open(number, 0)", "os.chmod(number, 0)", "io.FileIO(path)", "FileIO(path)"),
        *("gzip.GzipFile(path)", "tarfile.TarFile(path)", "zipfile.ZipFile(path)"),
    ],
)
def test_a_call_with_a_path_is_found(call: str) -> None:
    source = f"def f(path):\n    def g():\n        if path:\n            x = {call}\n"
    assert list(uses(source)) == ["f.g"]


@pytest.mark.parametrize(
    "call",
    [
        *("handle.read(name)", "handle.rename(name, other, name)", "handle.unlink(name)"),
        *("handle.remove(name)", "text.replace('a', 'b')", "os.fchown(number, 1, 1)"),
        *("os.open(name, flags, dir_fd=handle.number)", "handle.walk(name)", "Release.open(a, b)"),
        *("shutil.copyfileobj(one, other)", "names.remove(name)"),
        *(
            "gzip.GzipFile('', 'wb', fileobj=file)",
            "os.listxattr(handle.number)",
            "os.setxattr(file.fileno(), 'a', b'')",
        ),
    ],
)
def test_a_call_by_handle_is_not_found(call: str) -> None:
    assert uses(f"x = {call}") == {}


def test_a_parameter_that_is_a_number_is_an_open_file() -> None:
    assert uses("def f(number: int) -> None:\n    os.utime(number)\n") == {}
    assert uses("def f(number: Path) -> None:\n    os.utime(number)\n") == {"f": "utime"}


def test_a_new_name_of_open_is_found() -> None:
    source = "from gzip import GzipFile as Packed\nfrom io import open as opened\n"
    assert uses(source) == {"": "GzipFile as open as"}


def test_a_helper_that_takes_a_path_is_found() -> None:
    source = (
        "from gpuhost.runner.lib import files\n"
        "from gpuhost.runner.lib.files import clear, write as put\n"
        "clear(path)\nput(path, text)\nfiles.remove(path)\ndisk.remove(path)\n"
    )
    assert uses(source) == {"": "clear put remove"}


@pytest.mark.parametrize("name", ["load_json", "read_state", "read_text"])
@pytest.mark.parametrize("module", ["contract", "contract.state_files"])
def test_a_helper_of_the_contract_is_found(module: str, name: str) -> None:
    source = f"from gpuhost.runner.{module} import {name}\ndef f(path):\n    {name}(path)\n"
    assert uses(source) == {"f": name}
