"""Places on the host that an app may have, and those that are the host's own."""

from __future__ import annotations

import posixpath
from typing import Annotated

from pydantic import AfterValidator, Field

from gpuhost.appfile.section import Path, stays_inside

# With all that is in them: many containers share them, and nobody's data is there.
SYSTEM_DIRECTORIES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin"),
    *("/sys", "/usr", "/var/run"),
)
# Themselves, not what is in them: with another owner or mode the host is not the same.
SHARED = (
    *("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var"),
    *("/tmp", "/var/cache", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108
)


def _is_an_apps(path: str) -> str:
    if path.startswith("/"):
        whole = posixpath.normpath(f"/{path.lstrip('/')}")
        below = any(f"{whole}/".startswith(f"{place}/") for place in SYSTEM_DIRECTORIES)
        if below or whole in SHARED:
            raise ValueError("a directory of the app's, not one of the host's system")
    return path


# Absolute, or relative to the project directory.
DirectoryPath = Annotated[Path, AfterValidator(_is_an_apps)]
# A file that gpuhost writes: never outside the app.
OwnPath = Annotated[
    str,
    Field(
        pattern=r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        title="a path relative to the project directory",
    ),
    AfterValidator(stays_inside),
]
