"""Operations on the operating system."""

from __future__ import annotations

from hashlib import sha256

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_now, refuse_reload
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.dpkg import dpkg_fault
from gpuhost.plans.system import ORIGINS_FIX, UPDATES_FILE, no_security_origin, updates_text
from gpuhost.remote.apt import (
    INSTALL_SECONDS,
    LOCK_TIMEOUT_S,
    apt_install,
    apt_update_install,
    wait_for_apt,
)
from gpuhost.remote.commands import put, remove, run, script, with_output
from gpuhost.settings import Settings
from gpuhost.snapshot.dpkg import TIMERS

SYNCHRONISE_SECONDS = 30
FAIL = 'echo "$1" >&2; exit 1'


def _is_failing(id: str, settings: Settings) -> bool:
    return finding_of(id, read(settings), settings).status is Status.FAIL


@operation
def packages(lock_timeout_s: int = LOCK_TIMEOUT_S) -> Commands:
    """
    Wait until apt and dpkg are idle, and name the process that holds their locks; then finish the
    installation of packages that an interrupted dpkg left half installed.

    + lock_timeout_s: seconds to wait; after that the host fails

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.packages(name="Package manager", lock_timeout_s=600)
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    if not read(settings).dpkg.locks and not _is_failing("system.dpkg", settings):
        host.noop("the package manager is idle, and no package is half installed")
        return
    if read(settings).dpkg.locks:
        yield wait_for_apt(lock_timeout_s)
    if fault := dpkg_fault(read(settings)):
        # It fails: what follows would have apt install much more, or wait for nothing.
        yield run("sh", "-c", FAIL, "sh", f"{fault.what}: {fault.fix}", seconds=10)
        return
    if _is_failing("system.dpkg", settings):
        yield run(
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "dpkg",
            "--force-confold",
            "--force-confdef",
            "--configure",
            "-a",
            seconds=INSTALL_SECONDS,
        )
    if _is_failing("system.dpkg", settings):
        yield apt_install([], "--fix-broken", lock_timeout_s=lock_timeout_s)


@operation
def python(lock_timeout_s: int = LOCK_TIMEOUT_S) -> Commands:
    """
    Install python3, which runs releases on the host.

    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.python(name="python3")
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    if not _is_failing("system.python", settings):
        host.noop("python3 is installed")
        return
    yield from apt_update_install(
        ["python3"], optional=optional_archives(read(settings)), lock_timeout_s=lock_timeout_s
    )


@operation
def hostname() -> Commands:
    """
    Ensure that the host's own name resolves: a line 127.0.1.1 in /etc/hosts; other lines are kept.

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.hostname(name="Host name")
    """
    settings = Settings()
    snapshot = read(settings)
    if not _is_failing("system.hostname", settings):
        host.noop(f"{snapshot.system.hostname} resolves")
        return
    full, short = snapshot.system.hostname, snapshot.system.hostname.partition(".")[0]
    names = full if full == short else f"{full} {short}"
    yield script("hosts_line.sh", f"127.0.1.1 {names}", seconds=10)


@operation
def clock(adopt: bool = False, lock_timeout_s: int = LOCK_TIMEOUT_S) -> Commands:
    """
    Synchronise the clock with a time server: by the installed service, or by systemd-timesyncd if
    there is none. In a container it does nothing, because the clock is that of its host.

    + adopt: reload systemd even if that takes the GPUs from running containers
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.clock(name="Clock")
    """
    settings = Settings(apt_lock_timeout_s=lock_timeout_s)
    snapshot = read(settings)
    if not _is_failing("system.clock", settings):
        host.noop(f"clock: {finding_of('system.clock', snapshot, settings).actual}")
        return
    service = (
        snapshot.clock.installed[0] if snapshot.clock.installed else "systemd-timesyncd.service"
    )
    is_masked = service in snapshot.units.masked
    if is_masked and refuse_reload("system", snapshot, adopt=adopt):
        return
    if not snapshot.clock.installed:
        yield from apt_update_install(
            ["systemd-timesyncd"],
            optional=optional_archives(snapshot),
            lock_timeout_s=lock_timeout_s,
        )
    if is_masked:
        yield run("systemctl", "unmask", service)
    yield from enable_now(snapshot, service, seconds=60)
    yield with_output(
        script("clock_synchronised.sh", SYNCHRONISE_SECONDS, seconds=SYNCHRONISE_SECONDS + 15)
    )


@operation
def security_updates(
    adopt: bool = False, present: bool = True, lock_timeout_s: int = LOCK_TIMEOUT_S
) -> Commands:
    """
    Enable automatic security updates (unattended-upgrades), except for NVIDIA's and Docker's
    packages: their upgrade stops running containers.

    + adopt: reload systemd even if that takes the GPUs from running containers
    + present: False: remove gpuhost's configuration; everything else stays as it is
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import system
        system.security_updates(name="Security updates")
    """
    settings = Settings(system_security_updates=present, apt_lock_timeout_s=lock_timeout_s)
    snapshot = read(settings, despite=["toolkit.proof", "firewall.rules"])
    if finding_of("system.updates", snapshot, settings).status is not Status.FAIL:
        host.noop("security updates are as declared")
        return
    if not present:
        yield remove(UPDATES_FILE)
        return
    file = snapshot.paths.get(UPDATES_FILE)
    is_written = file is not None and file.sha256 == sha256(updates_text().encode()).hexdigest()
    if is_written and snapshot.updates.installed and not snapshot.updates.stopped_timers:
        other = f"another file overrides {UPDATES_FILE}: grep -r Unattended /etc/apt/apt.conf.d"
        without = no_security_origin(snapshot)
        refuse("system", f"{without}: {ORIGINS_FIX}" if without else other)
        return
    masked = [name for name in TIMERS if name in snapshot.units.masked]
    if masked and refuse_reload("system", snapshot, adopt=adopt):
        return
    if not snapshot.updates.installed:
        yield from apt_update_install(
            ["unattended-upgrades"],
            optional=optional_archives(snapshot),
            lock_timeout_s=lock_timeout_s,
        )
    if not is_written:
        yield put(UPDATES_FILE, updates_text())
    if snapshot.updates.stopped_timers:
        if masked:
            yield run("systemctl", "unmask", *masked)
        yield from enable_now(snapshot, *TIMERS, seconds=60)
