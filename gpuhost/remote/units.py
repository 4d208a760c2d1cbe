"""systemd's units, without a reload of all of them: on some hosts a reload takes the GPUs from
running containers (plans/reload.py).

With --root=/, systemctl only makes the links; after any other `enable` or `disable` it reloads. For
a unit that has a script in /etc/init.d too, such as docker, it calls update-rc.d, which reloads as
well, unless SYSTEMCTL_SKIP_SYSV is set. systemd looks for the file of a new unit when the unit is
started.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import StringCommand

from gpuhost.remote.commands import run

LINK = ("env", "SYSTEMCTL_SKIP_SYSV=1", "systemctl")
RELOAD = run("systemctl", "daemon-reload", seconds=60)


def enable(*units: str) -> StringCommand:
    """Start them at boot."""
    return run(*LINK, "enable", "--root=/", *units, seconds=60)


def want(*units: str) -> StringCommand:
    """Start units at boot that have no section [Install]: `enable` does nothing for them."""
    return run(*LINK, "add-wants", "--root=/", "multi-user.target", *units, seconds=60)


def disable_now(*units: str, seconds: int = 60) -> Iterator[StringCommand]:
    """Stop them, and do not start them at boot."""
    yield run(*LINK, "disable", "--root=/", *units, seconds=60)
    yield run("systemctl", "stop", *units, seconds=seconds)
