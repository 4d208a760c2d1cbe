"""Files are opened, changed and deleted by path only where no container can write.

Everything else is done by handle: lib/directory_handle.py, opened by data/safe_paths.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpuhost.runner

PACKAGE = Path(gpuhost.runner.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Where the path is the only argument, or there is none: a handle's methods need a name more.
WITHOUT_ARGUMENT = {"rmdir", "unlink", "walk"}
WITH_ONE = {"hardlink_to", "link_to", "rename", "replace", "symlink_to"}
ALWAYS = {
    *("chmod", "connect", "extract", "extractall", "glob", "iterdir", "lchmod", "mkdir"),
    *("read_bytes", "read_text", "rglob", "touch", "write_bytes", "write_text"),
}
OF_OS = {
    *("chmod", "chown", "lchown", "link", "listdir", "listxattr", "lchmod", "makedirs", "mkdir"),
    *("mkfifo", "mknod", "open", "remove", "removedirs", "removexattr", "rename", "renames"),
    *("replace", "rmdir", "scandir", "setxattr", "symlink", "truncate", "unlink", "utime", "walk"),
}
# They get open files, or change nothing.
NOT_OF_SHUTIL = {"copyfileobj", "disk_usage"}
# Classes with an `open` of their own.
OPENED = {"Release", "opener"}

# Module, or module and function, and why no container can write there.
ALLOWED: dict[str, tuple[str, ...]] = {
    "the one way; a number of an open file": (
        *("lib/directory_handle.py", "data/tarball_member.py:read_xattrs"),
    ),
    "the directory of the app, but for shared/ and the sources of its releases": (
        *("lib/files.py", "lib/log.py", "contract/state_files.py", "data/container_mounts.py"),
        "data/schedule.py:_install_rotation",
        *("data/staging.py:stage", "docker/compose.py"),
        *(
            "resolved/asking.py:_environment",
            "resolved/project_files.py",
            "building/registry_login.py",
        ),
        *("stages/prune.py", "stages/removal.py"),
        *("stages/render.py", "stages/restore.py", "stages/restore_stages.py"),
        *(
            "stages/restore_leftovers.py",
            "stages/rollback.py",
            "stages/runner_cleanup.py",
            "state/",
        ),
        *("contract/container_state.py", "resolved/host.py:site_ports"),
        *("site/container_nginx.py:place", "site/nginx.py:check", "site/nginx.py:_site_files"),
        "site/nginx_trial.py:_write_files",
    ),
    "backups/, and files that are made there": (
        *("data/backup.py", "data/postgres.py", "data/sqlite_copy.py"),
        *("data/stored.py", "data/retention.py", "data/staging.py:_copy"),
        *("data/tarball_pack.py:pack", "data/tarball.py:unpack", "data/tarball_read.py"),
        *("lib/commands.py:_create", "lib/commands.py:stream"),
    ),
    "an open file, or a name in an open directory": ("data/tarball_member.py:read_xattrs",),
    "shared/ itself, / or the source itself, which open what is in them": (
        *("data/path_walk.py:Walk.open_parent", "data/directories.py:make"),
        "data/source_paths.py:open_real",
    ),
    "a source before any container has it": (
        *("data/archive.py", "data/edits.py", "data/overlay.py", "git/", "stages/source.py"),
        *("resolved/resolve.py", "resolved/tree.py", "resolved/env_values.py"),
        *("resolved/asking.py:_config", "building/build_order.py"),
    ),
    "beside the source of a release": (
        *("resolved/temporary_files.py:remove_placed", "resolved/temporary_files.py:_put"),
    ),
    "names and kinds of entries: nothing is opened": ("contract/file_names.py:has_content",),
    "/etc, and where certbot writes": (
        *("data/schedule.py:_has_text", "data/schedule.py:_install"),
        *("site/certificates.py:_install", "site/certificates.py:_read"),
        *("site/certificates.py:fetch", "site/certificates.py:must_fetch"),
        *("site/nginx.py:_answer_challenges", "site/nginx.py:_read", "site/nginx.py:_write"),
    ),
    "a temporary directory of root": (
        *("site/certificates.py:self_signed", "site/nginx_trial.py:_write_files"),
        "site/nginx_trial.py:try_in_container",
    ),
    "/proc, /sys and /dev": (
        *("building/capacity.py", "building/memory_peak.py", "contract/cards_inside.py"),
        *("failures/oom.py", "lib/boot_time.py"),
    ),
}
NAMED = [entry for entries in ALLOWED.values() for entry in entries]


def uses(source: str) -> Iterator[tuple[str, str]]:
    """The function, and what it calls with a path."""
    yield from _uses(ast.parse(source), "")


def _uses(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        function = f"{function}.{node.name}" if function else node.name
    if isinstance(node, ast.Call) and (name := _of_path(node)):
        yield function, name
    if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
        yield function, f"from {node.module} import"
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, function)


def _of_path(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return "open" if call.func.id == "open" else ""
    if not isinstance(call.func, ast.Attribute):
        return ""
    name = call.func.attr
    base = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    if base == "os":
        by_handle = {key.arg for key in call.keywords} & {"dir_fd", "src_dir_fd"}
        return name if name in OF_OS and not by_handle and not _is_open(call.args) else ""
    if base == "shutil":
        return "" if name in NOT_OF_SHUTIL else name
    if name == "open":
        return "" if base in OPENED else name
    count = len(call.args)
    if (name in WITHOUT_ARGUMENT and count == 0) or (name in WITH_ONE and count == 1):
        return name
    return name if name in ALWAYS else ""


def _is_open(arguments: list[ast.expr]) -> bool:
    """Whether the first one is the number of an open file."""
    first = ast.unparse(arguments[0]) if arguments else ""
    return first == "number" or first.endswith((".number", ".fileno()"))


def is_allowed(module: str, function: str) -> bool:
    room = f"{module.partition('/')[0]}/"
    of_function = (f"{module}:{function}", f"{module}:{function.split('.')[0]}")
    return bool({room, module, *of_function} & set(NAMED))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_opens_by_path_what_a_container_can_write(path: Path) -> None:
    module = str(path.relative_to(PACKAGE))
    found = [
        f"{module}: {function}: {call}: open its directory by safe_paths.open_directory, or, if "
        "only root can write there, add it above"
        for function, call in uses(path.read_text(encoding="utf-8"))
        if not is_allowed(module, function)
    ]
    assert found == []


def test_what_is_allowed_is_used() -> None:
    used = set()
    for path in MODULES:
        module = str(path.relative_to(PACKAGE))
        for function, _ in uses(path.read_text(encoding="utf-8")):
            used |= {f"{module.partition('/')[0]}/", module, f"{module}:{function}"}
            used.add(f"{module}:{function.split('.')[0]}")
    assert set(NAMED) - used == set()


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
        *("os.utime(path)", "os.setxattr(path, 'a', b'')", "self.path.parent.rmdir()"),
    ],
)
def test_a_call_with_a_path_is_found(call: str) -> None:
    source = f"def f(path):\n    def g():\n        if path:\n            x = {call}\n"
    assert [function for function, _ in uses(source)] == ["f.g"]
    assert not is_allowed("data/new.py", "f.g")
    assert not is_allowed("data/exchange.py", "f.g")


@pytest.mark.parametrize(
    "call",
    [
        *("handle.read(name)", "handle.rename(name, other, name)", "handle.unlink(name)"),
        *("handle.remove(name)", "text.replace('a', 'b')", "os.fchown(number, 1, 1)"),
        *("os.open(name, flags, dir_fd=handle.number)", "handle.walk(name)", "Release.open(a, b)"),
        *("shutil.copyfileobj(one, other)", "names.remove(name)"),
        *(
            "os.utime(number)",
            "os.listxattr(handle.number)",
            "os.setxattr(file.fileno(), 'a', b'')",
        ),
    ],
)
def test_a_call_by_handle_is_not_found(call: str) -> None:
    assert list(uses(f"x = {call}")) == []
