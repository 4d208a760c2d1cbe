"""Asks a real Compose what a project's files mean."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.compose.project import Project


@dataclass(frozen=True)
class Answer:
    """Either the model, as JSON text, or an error."""

    model: str
    said: str
    ok: bool


def ask(
    binary: Path, directory: Path, options: Sequence[str], environment: Mapping[str, str]
) -> Answer:
    """`docker compose OPTIONS config`, run in a directory, with no variables but these."""
    done = subprocess.run(
        [str(binary), *options, "config", "--format", "json"],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "HOME": "/root", "PWD": str(directory), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.stdout, done.stderr, done.returncode == 0)


def ask_alone(
    binary: Path, project: Project, directory: Path, profiles: Sequence[str] = ()
) -> Answer:
    """What Compose makes of a project in its own directory, as its user runs it."""
    profiles = [*project.block.get("profiles", ()), *profiles]
    # Without a name, gpuhost takes the app's; Compose takes the directory's of the first file.
    options = [] if project.has_own_name else ["-p", project.name]
    options += [word for file in project.compose_files for word in ("-f", file)]
    options += [word for profile in profiles for word in ("--profile", profile)]
    in_files = {one["path"] for one in project.block.get("secrets", {}).values() if "path" in one}
    exported = {} if in_files else project.secrets
    return ask(binary, directory, options, {**exported, **project.shell})


# What YAML refuses unless it is escaped; a pair of escapes for one character is refused too.
CONTROL = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def json_of(model: object) -> str:
    """JSON that Compose, which reads it as YAML, understands."""
    text = json.dumps(model, ensure_ascii=False)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
