"""Why a path of the project cannot be used, and what to do."""

from __future__ import annotations

import posixpath
import re

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.resolved.path_facts import FILE, PathFacts, Use

# A name with a suffix is a file, except conf.d and version numbers.
SUFFIX = re.compile(r"\.(?!d$)[A-Za-z][A-Za-z0-9]{0,9}$")
DOT_ENV = ".env"


def not_made(use: Use) -> str:
    """Why Docker would not make the missing directory that the app means; "": it would."""
    if use.kind != "bind":
        return f"{use.kind}s are not made"
    if not (use.holder.get("bind") or {}).get("create_host_path"):
        return "the Compose file does not let Docker make it"
    if _is_like_a_file(use.path) and _is_like_a_file(use.target):
        return "it looks like a file, and Docker would make a directory"
    return ""


def _is_like_a_file(path: str) -> bool:
    name = posixpath.basename(path)
    return name.startswith(DOT_ENV) or bool(SUFFIX.search(name.lstrip(".")))


def missing(use: Use, path: str, facts: PathFacts, reason: str, base: str) -> Failure:
    """+ base: the project directory, where paths in x-gpuhost start"""
    example = f"; the source has {', '.join(facts.examples)}" if facts.examples else ""
    directory = "; if it is a directory, name it in x-gpuhost.directories"
    return Failure(
        f"{use.where}: neither the source nor shared/ has {path}: {reason}{example}",
        fix=f"create shared/{path} on the host, or declare it as a secret (x-gpuhost.secrets, "
        f"path: {posixpath.relpath(path, base)}), or add it to the source (source.overlay)"
        f"{directory if use.kind in ('bind', 'volume') else ''}",
    )


def both(use: Use, path: str, facts: PathFacts) -> Failure:
    what = "a file" if facts.source == FILE else "a directory with content"
    return Failure(
        f"{use.where}: {path} is {what} of the source, and shared/{path} exists too",
        fix=f"if it is data, name it in x-gpuhost.directories; if it is the project's, move "
        f"shared/{path} on the host away",
    )
