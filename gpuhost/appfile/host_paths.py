"""Paths on the host that an app may use; system directories are refused."""

from __future__ import annotations

import posixpath
from typing import Annotated

from pydantic import AfterValidator, Field

from gpuhost.appfile.section import ProjectPath

# Refused with everything in them: they hold system files, no data of an app.
SYSTEM_DIRECTORIES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin"),
    *("/sys", "/usr", "/var/run"),
)
# Only the directories themselves are refused: another owner or mode would break the host.
SHARED_DIRECTORIES = (
    *("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var"),
    *("/tmp", "/var/cache", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108
)


def _refuse_system_directories(path: str) -> str:
    if path.startswith("/"):
        normal = posixpath.normpath(f"/{path.lstrip('/')}")
        below = any(f"{normal}/".startswith(f"{directory}/") for directory in SYSTEM_DIRECTORIES)
        if below or normal in SHARED_DIRECTORIES:
            raise ValueError("a directory of the app, not of the system")
    return path


# Absolute, or relative to the project directory.
DirectoryPath = Annotated[ProjectPath, AfterValidator(_refuse_system_directories)]
# A file that gpuhost writes: in the source only.
OwnPath = Annotated[
    str,
    Field(
        pattern=r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        title="a path relative to the project directory",
    ),
]
