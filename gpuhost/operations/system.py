"""The write side of the host itself."""

from __future__ import annotations

from hashlib import sha256

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.system import UPDATES_FILE, updates_text
from gpuhost.remote.commands import (
    APT_TIMEOUT,
    apt_install,
    apt_update,
    put,
    refuse,
    remove,
    run,
    script,
    shown,
    wait_for_apt,
)
from gpuhost.settings import Settings
from gpuhost.snapshot.dpkg import TIMERS

SYNCHRONISE_SECONDS = 30


def _fails(id: str, settings: Settings) -> bool:
    return finding_of(id, read(settings), settings).status is Status.FAIL


@operation
def packages(lock_timeout_s: int = 300) -> Commands:
    """
    Have apt and dpkg idle and whole: wait for whoever holds their locks, naming him, then finish
    what an interrupted dpkg left half installed.

    + lock_timeout_s: how long to wait, in seconds; then the host fails, naming the owner

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.packages(name="Package manager", lock_timeout_s=600)
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    if not read(settings).dpkg.locks and not _fails("system.dpkg", settings):
        host.noop("the package manager is idle, and every package whole")
        return
    if read(settings).dpkg.locks:
        yield wait_for_apt(lock_timeout_s)
    if _fails("system.dpkg", settings):
        yield run(
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "dpkg",
            "--force-confold",
            "--force-confdef",
            "--configure",
            "-a",
            seconds=APT_TIMEOUT,
        )
    if _fails("system.dpkg", settings):
        yield apt_install([], "--fix-broken", lock_timeout=lock_timeout_s)


@operation
def python(lock_timeout_s: int = 300) -> Commands:
    """
    Have python3, which runs releases on the host.

    + lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.python(name="python3")
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    if not _fails("system.python", settings):
        host.noop("python3 is installed")
        return
    yield apt_update(lock_timeout=lock_timeout_s)
    yield apt_install(["python3"], lock_timeout=lock_timeout_s)


@operation
def hostname() -> Commands:
    """
    Have the host's own name resolve: a line 127.0.1.1 in /etc/hosts, every other line kept.

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.hostname(name="Host name")
    """
    settings = Settings()
    snapshot = read(settings)
    if not _fails("system.hostname", settings):
        host.noop(f"{snapshot.system.hostname} resolves")
        return
    full, short = snapshot.system.hostname, snapshot.system.hostname.partition(".")[0]
    names = full if full == short else f"{full} {short}"
    yield script("hosts_line.sh", f"127.0.1.1 {names}", seconds=10)


@operation
def clock(lock_timeout_s: int = 300) -> Commands:
    """
    Have the clock follow a time server: by the service that is installed, or else by
    systemd-timesyncd. Does nothing in a container, whose clock is that of the machine around it.

    + lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.clock(name="Clock")
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    snapshot = read(settings)
    if not _fails("system.clock", settings):
        finding = finding_of("system.clock", snapshot, settings)
        host.noop(f"clock: {finding.actual}")
        return
    if not snapshot.clock.installed:
        yield apt_update(lock_timeout=lock_timeout_s)
        yield apt_install(["systemd-timesyncd"], lock_timeout=lock_timeout_s)
    service = (
        snapshot.clock.installed[0] if snapshot.clock.installed else "systemd-timesyncd.service"
    )
    yield run("systemctl", "unmask", service)
    yield run("systemctl", "enable", "--now", service, seconds=60)
    yield shown(
        script("clock_synchronised.sh", SYNCHRONISE_SECONDS, seconds=SYNCHRONISE_SECONDS + 15)
    )


@operation
def security_updates(enabled: bool = True, lock_timeout_s: int = 300) -> Commands:
    """
    Have security updates install themselves (unattended-upgrades), but never NVIDIA's and
    Docker's packages: their upgrade stops running containers.

    + enabled: False takes our configuration away and leaves the rest as it is
    + lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.security_updates(name="Security updates")
    """
    settings = Settings(system_security_updates=enabled, apt_lock_timeout_s=lock_timeout_s)
    snapshot = read(settings)
    if not _fails("system.updates", settings):
        host.noop("security updates are as declared")
        return
    if not enabled:
        yield remove(UPDATES_FILE)
        return
    ours = snapshot.paths.get(UPDATES_FILE)
    is_there = ours is not None and ours.sha256 == sha256(updates_text().encode()).hexdigest()
    if is_there and snapshot.updates.installed and not snapshot.updates.stopped_timers:
        refuse("system", "another file overrides ours: grep -r Unattended /etc/apt/apt.conf.d")
        return
    if not snapshot.updates.installed:
        yield apt_update(lock_timeout=lock_timeout_s)
        yield apt_install(["unattended-upgrades"], lock_timeout=lock_timeout_s)
    if not is_there:
        yield put(UPDATES_FILE, updates_text())
    if snapshot.updates.stopped_timers:
        yield run("systemctl", "unmask", *TIMERS)
        yield run("systemctl", "enable", "--now", *TIMERS, seconds=60)
