"""apt-get commands. Each waits until no other process holds a lock of apt or dpkg."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from secrets import token_hex
from shlex import quote

from pyinfra.api import QuoteString, StringCommand

from gpuhost.remote.commands import QUICK, WithOutput, script, script_text, with_output

LOCK_TIMEOUT_S = 300
# For packages on hold; the caller holds them again afterwards.
CHANGE_HELD = "--allow-change-held-packages"
UPDATE_SECONDS = 600
INSTALL_SECONDS = 1800
# A host knows by it that its package lists are from this run.
RUN = token_hex(8)


def apt_update(
    optional: Sequence[str] = (), *, lock_timeout_s: int = LOCK_TIMEOUT_S
) -> StringCommand:
    """Read the package lists again, unless this run has, and nothing of /etc/apt has changed since.

    + optional: URIs of sources, without logins, that may fail: it is printed then
    """
    return with_output(
        _apt_get(
            "update",
            seconds=UPDATE_SECONDS,
            lock_timeout_s=lock_timeout_s,
            environment={"OPTIONAL": "\n".join(optional), "RUN": RUN},
        )
    )


def apt_install(
    packages: Iterable[str],
    *options: str,
    replaces: Sequence[str] = (),
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> StringCommand:
    """Install packages, `name` or `name=version`; configuration files that were edited are kept.

    + replaces: globs of the packages that may be removed for them; if apt would remove another, it
      does nothing, and the failure names that one
    """
    words = (*options, *packages)
    return _apt_get(
        "install",
        *words,
        seconds=INSTALL_SECONDS,
        lock_timeout_s=lock_timeout_s,
        environment={"MAY_REMOVE": " ".join(replaces)},
    )


def apt_update_install(
    packages: Iterable[str],
    *options: str,
    optional: Sequence[str] = (),
    replaces: Sequence[str] = (),
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> tuple[StringCommand, StringCommand]:
    """Read the package lists again, then install packages."""
    return (
        apt_update(optional, lock_timeout_s=lock_timeout_s),
        apt_install(packages, *options, replaces=replaces, lock_timeout_s=lock_timeout_s),
    )


def apt_remove(packages: Sequence[str], *, lock_timeout_s: int = LOCK_TIMEOUT_S) -> StringCommand:
    """Remove packages; their configuration files stay. If apt would remove others too, it does
    nothing, and the failure names them."""
    return _apt_get(
        "remove",
        *packages,
        seconds=INSTALL_SECONDS,
        lock_timeout_s=lock_timeout_s,
        environment={"MAY_REMOVE": " ".join(packages)},
    )


def wait_for_apt(lock_timeout_s: int) -> WithOutput:
    """Wait until no process holds a lock of apt or dpkg, and name the process that does; fail after
    `lock_timeout_s` seconds.
    """
    return with_output(script("apt_idle.sh", lock_timeout_s, seconds=lock_timeout_s + QUICK))


def _apt_get(
    verb: str, *words: str, seconds: int, lock_timeout_s: int, environment: Mapping[str, str]
) -> StringCommand:
    """apt-get, after apt_idle.sh: apt itself waits for only one of the four locks.

    + environment: variables of apt_run.sh
    """
    given = "".join(f"{name}={quote(value)}\n" for name, value in environment.items() if value)
    options = {
        "update": "-o APT::Update::Error-Mode=any",
        "install": f"--no-install-recommends{'' if given else ' --no-remove'}",
    }
    return StringCommand(
        "LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1",
        f"timeout -k 5 {seconds + lock_timeout_s} sh -s -- {lock_timeout_s} apt-get -q -y",
        f"-o DPkg::Lock::Timeout={lock_timeout_s}",
        "-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef",
        *([options[verb]] if verb in options else []),
        verb,
        *(QuoteString(word) for word in words),
        _stdin=given + script_text("apt_idle.sh") + script_text("apt_run.sh"),
    )
