"""Which files of the app's project are sent with a release: all that its Compose files name."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.paths import leads_out
from gpuhost.appfile.compose.variables import DOTENV
from gpuhost.release.build_context import BuildContext
from gpuhost.release.local_command import LocalCommandError, run_local
from gpuhost.release.selection import Selection
from gpuhost.runner.contract import EXAMPLE_SUFFIXES

GIT_SECONDS = 30


def selection(app: App) -> Selection:
    """What of a local directory is sent beside the build contexts."""
    directory = app.directory or Path()
    binds = {path for path in _binds(app) if path not in _directories(app)}
    ignored = _ignored(directory, [path for path in binds if (directory / path).is_dir()])
    root = (DOTENV,) if app.files.root_dotenv else ()
    private = frozenset((*_secret_files(app), _dotenv(app), *root))
    read = set(_read_by_compose(app))
    missing = (path for path in (*read, *binds) if not (directory / path).exists())
    # The host names them in its message about a missing file.
    shown = (f"{path}{suffix}" for path in missing for suffix in EXAMPLE_SUFFIXES)
    return Selection(
        frozenset((*read, *private, *shown, *(binds - ignored))),
        private,
        frozenset(ignored),
        only_named=app.block.source is None,
    )


def has_files(app: App) -> bool:
    """Whether an app without a source has files of its project."""
    directory = app.directory
    if directory is None:
        return False
    named = selection(app).named
    return any(build_contexts(app)) or any((directory / path).exists() for path in named)


def build_contexts(app: App) -> Iterator[BuildContext]:
    """The directories of the source that images are built from."""
    for base in app.block.build.bases.values():
        yield BuildContext(base.context, base.dockerfile)
    for service in app.compose.services.values():
        build = service.build
        if build and build.is_of_source and not leads_out(build.context):
            yield BuildContext(build.context, build.dockerfile)
        # Each has its own .dockerignore.
        yield from (BuildContext(path) for path in (build.additional if build else ()))


def _dotenv(app: App) -> str:
    return posixpath.normpath(f"{app.files.directory}/{DOTENV}")


def _read_by_compose(app: App) -> Iterator[str]:
    yield from app.files.files
    yield from app.files.read
    yield from app.files.env_files
    for service in app.compose.services.values():
        named = (*(file.path for file in service.env_files), *service.label_files)
        yield from (_inside(path) for path in named if is_of_source(path))
        # Unlike other paths, also of a service in another directory's file.
        yield from (_inside(f"{app.files.directory}/{p}") for p in service.seccomp_profiles)
    for config in app.compose.configs.values():
        if config.file and is_of_source(config.file):
            yield _inside(config.file)


def _secret_files(app: App) -> Iterator[str]:
    for secret in app.compose.secrets.values():
        if secret.file and is_of_source(secret.file):
            yield _inside(secret.file)


def _binds(app: App) -> Iterator[str]:
    for service in app.compose.services.values():
        for mount in service.mounts:
            if is_of_source(mount.source):
                yield _inside(mount.source)
    for volume in app.compose.volumes.values():
        if volume.device and is_of_source(volume.device):
            yield _inside(volume.device)


def _directories(app: App) -> set[str]:
    """Those of the block: data, which is sent only as any other file is."""
    return set(map(_inside, app.block.directories))


def _inside(path: str) -> str:
    return posixpath.normpath(path)


def _ignored(directory: Path, paths: list[str]) -> set[str]:
    """Those that git ignores in its work tree; none where there is no work tree."""
    return {path for path in paths if _is_ignored(directory, path)}


def _is_ignored(directory: Path, path: str) -> bool:
    command = ["git", "-C", str(directory), "check-ignore", "-q", "--", path]
    try:
        return run_local(command, seconds=GIT_SECONDS).status == 0
    except LocalCommandError:
        return False
