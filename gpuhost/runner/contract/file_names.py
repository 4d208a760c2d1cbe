"""Names of files in a project that mean the same to the controller and the runner."""

from __future__ import annotations

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
