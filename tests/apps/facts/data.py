"""What is written is data, what is mounted is used, and what is read is there before the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from gpuhost.runner.docker.resolved_model import extension
from tests.apps.facts.released import Released
from tests.apps.facts.table import Facts


def data(release: Released, facts: Facts) -> Iterator[str]:
    """Directories of data are mounted, and nothing else is; what is backed up is written."""
    used = set()
    for name, section in release.services.items():
        program = facts.of(name)
        if program is None:
            continue
        for path, where in program.writes.items():
            mount = _mount(section, path)
            if mount is None or mount.get("read_only"):
                yield f"{name}: {path} is lost with the container, or read-only ({where})"
            elif mount.get("source"):
                used.add(mount["source"])
        known = (*program.writes, *program.files, *program.mounts)
        for volume in section.get("volumes") or ():
            if not any(_is_in(path, volume["target"]) for path in known):
                yield f"{name}: nothing uses {volume['target']}"
    yield from _backed_up(release, used)
    for path in extension(release.model).copies:
        yield from (
            f"{file} of the source is copied into data" for file in facts.has if _is_in(file, path)
        )


def _backed_up(release: Released, used: set[str]) -> Iterator[str]:
    backup = release.plan.backup
    # A named volume is not in `shared`.
    directories = [source.partition("/shared/")[2] for source in used if "/shared/" in source]
    for path in (*backup.sqlite, *backup.paths) if backup else ():
        if not any(_is_in(path, directory) for directory in directories):
            yield f"backup: nothing writes {path}"


def files(release: Released, facts: Facts) -> Iterator[str]:
    """Files of models are fetched by the one-shot service of `migrate`, to where they are read."""
    for name, section in release.services.items():
        program = facts.of(name)
        for path, where in program.files.items() if program else ():
            mount = _mount(section, path)
            if mount is None:
                yield f"{name}: {path} is not mounted ({where})"
            elif not _is_brought(release, name, mount["source"], PurePosixPath(path).name):
                yield f"{name}: nothing brings {path} before the start ({where})"


def _is_brought(release: Released, reader: str, source: str, name: str) -> bool:
    """Whether another service writes there; a migration must name the file."""
    migration = release.plan.migrate
    if migration and reader != migration.service:
        section = release.services[migration.service]
        return _writes(section, source) and name in _text(release, section)
    others = (section for one, section in release.services.items() if one != reader)
    return any(_writes(section, source) for section in others)


def _writes(section: dict[str, Any], source: str) -> bool:
    return any(
        volume.get("source") == source and not volume.get("read_only")
        for volume in section.get("volumes") or ()
    )


def _text(release: Released, section: dict[str, Any]) -> str:
    """The command of a service, and the files of the source that it names."""
    words = " ".join(section.get("command") or ())
    named = (release.source / word for word in words.split() if word.endswith(".py"))
    return words + "".join(file.read_text(encoding="utf-8") for file in named if file.is_file())


def _mount(section: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The mount that a path is in: the deepest one."""
    found = [one for one in section.get("volumes") or () if _is_in(path, one["target"])]
    return max(found, key=lambda one: len(one["target"]), default=None)


def _is_in(path: str, directory: str) -> bool:
    return PurePosixPath(path).is_relative_to(directory)
