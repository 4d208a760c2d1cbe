"""Names of files in a project that mean the same to the controller and the runner."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# A directory with nothing else is kept for its name: what it will hold is data.
PLACEHOLDERS = frozenset((".gitkeep", ".gitignore", ".keep"))
# Files beside .env that say what it should contain, the first one that exists.
ENV_EXAMPLES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "env.example",
    "example.env",
)
# Beside a file that is missing: NAME.example says what it should contain.
EXAMPLE_SUFFIXES = (".example", ".sample", ".template", ".dist")


def has_content(directory: Path) -> bool:
    """Whether a directory has a file that is no placeholder. Links are not followed."""
    # Not by recursion: a container may have made any depth of directories.
    left = [os.fspath(directory)]
    while left:
        with suppress(FileNotFoundError), os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                elif entry.name not in PLACEHOLDERS:
                    return True
    return False
