"""What Compose's refusals mean, and what to do."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.resolved.tree import examples

# A message of Compose -> what to do. {0} is the first group, {1} as a path in x-gpuhost, {2} on the
# host.
KNOWN = (
    (
        r"env file (\S+) not found|[Cc]ouldn't find env file: (\S+)",
        "create {2} on the host; or declare it as a secret (x-gpuhost.secrets, "
        "path: {1}), or add it to the source (source.overlay)",
    ),
    (
        r"required variable (\w+) is missing a value",
        "give {0} a value: x-gpuhost.variables, or a secret {0} (x-gpuhost.secrets)",
    ),
    (
        r"(?i)additional propert(?:y|ies) '?(provider|models)'? (?:is|are|not)",
        "gpuhost runs containers only: leave the service out (leave_out), or run what it provides "
        "in a service of its own",
    ),
    (
        r"(?i)additional propert(?:y|ies) '?(\w+)'? (?:is|are|not)",
        "this host's Compose does not know {0}: correct the file, or install a newer Compose "
        "(deploys/gpu_host.py)",
    ),
    (
        r"depends on undefined service \"?([\w.-]+)",
        "{0} is in a profile that is not active (x-gpuhost.profiles), or missing",
    ),
    (
        r"no such service: ([\w.-]+)",
        "correct the name of the service in x-gpuhost",
    ),
    (
        r"(?:open|stat|lstat) (\S+): no such file or directory",
        "the source lacks {0}: add it (source.overlay), or correct the path in the Compose file",
    ),
)
LINES = 30
NOT_KNOWN = "correct the Compose file: `docker compose config` in the project says the same"


def refusal(lines: dict[str, str], source: Path, base: str = ".", fix: str = "") -> Failure:
    """The failure for Compose's output.

    + lines: its lines as they are -> as they are shown; the paths are relative to the source
    + base: the project directory, relative to the source
    + fix: for a failure that is not known
    """
    said = tuple(lines.values())[-LINES:]
    for line in reversed(lines):
        for pattern, known in KNOWN:
            if match := re.search(pattern, line):
                value = next(group for group in match.groups() if group)
                if value not in lines[line]:
                    continue  # it has a secret in it
                own = value if value.startswith("/") else posixpath.relpath(value, base)
                on_host = value if value.startswith("/") else f"shared/{value}"
                hint = _hint(source, value)
                return Failure(
                    f"docker compose config refuses the app's files: {lines[line]}{hint}",
                    output=said,
                    fix=fix or known.format(value, own, on_host),
                )
    last = f": {said[-1]}" if said else ""
    return Failure(
        f"docker compose config refuses the app's files{last}", output=said, fix=fix or NOT_KNOWN
    )


def _hint(source: Path, path: str) -> str:
    names = examples(source / path)
    return f"; the source has {', '.join(names)}" if names else ""
