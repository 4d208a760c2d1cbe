"""Runs Compose where it cannot see what is not the app's.

`include`, `extends`, `env_file` and links of a repository may name any path, in more ways than a
check of them can know: as YAML that another parser reads otherwise, or through a variable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gpuhost.runner.contract import APPS, SECRET, AppPaths, is_within
from gpuhost.runner.lib.engine_data import engine_data

# An own /proc: /proc/1/root is the whole host.
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# One that was removed meanwhile is hidden too.
HIDE = """
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o ro,size=4k none "$1" || [ ! -d "$1" ] || exit
  elif [ -e "$1" ]; then mount --bind /dev/null "$1" || [ ! -e "$1" ] || exit
  fi
  shift
done
shift
exec "$@"
"""


def hiding(app: AppPaths, words: tuple[str, ...]) -> tuple[str, ...]:
    """The command, which finds nothing in the directories of other apps, of gpuhost and the engine,
    and of the system's secrets.
    """
    home = os.path.realpath(app.home)
    # Where a link of the host leads: the engine's data may be on another disk.
    paths = map(os.path.realpath, _hidden(app))
    others = (path for path in paths if not is_within(home, path))
    return (*UNSHARE, "sh", "-c", HIDE, "sh", *others, "--", *words)


def _hidden(app: AppPaths) -> Iterator[Path]:
    yield from (path for path in sorted(APPS.glob("*")) if path != app.home)
    yield from map(Path, SECRET)
    yield engine_data()
