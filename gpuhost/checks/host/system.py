"""The host itself: gpuhost can work on it, and it installs security updates."""

from __future__ import annotations

from hashlib import sha256
from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.nvidia.kernel import Maker, maker
from gpuhost.plans.system import (
    BLOCKED,
    ORIGINS_FIX,
    UPDATES_FILE,
    no_security_origin,
    updates_text,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.reboot import REBOOT_REQUIRED
from gpuhost.snapshot.system import System

# Ubuntu's releases between two with long-term support have updates for nine months.
SUPPORTED = {
    "debian": ("12", "13"),
    "ubuntu": ("22.04", "24.04", "26.04"),
}
# Marks in `uname -r` of products whose os-release is Debian's.
PRODUCTS = {"+truenas": "TrueNAS", "+rpt-rpi": "Raspberry Pi OS"}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@check("system.supported", "gpuhost supports the distribution and the architecture.")
def supported(snapshot: Snapshot, settings: Settings) -> Verdict:
    system = snapshot.system
    actual = f"{system.pretty_name} on {system.machine}"
    expected = "Debian 12-13 or Ubuntu 22.04, 24.04, 26.04, on amd64 or arm64 servers"
    unsupported = _reason_unsupported(system)
    known = system.version in SUPPORTED.get(system.distribution, ())
    if known and system.machine in MACHINES and not unsupported:
        return ok(actual, expected=expected, evidence=_strange_kernel(system))
    if unsupported:
        actual += f": {unsupported}"
    if settings.system_allow_unsupported:
        return warn(expected, actual, fix="use a supported system")
    return fail(expected, actual, fix="set system_allow_unsupported=True to continue anyway")


def _strange_kernel(system: System) -> str:
    if system.container or maker(system.kernel) is Maker.DISTRIBUTION:
        return ""
    return f"kernel {system.kernel} is not the distribution's"


def _reason_unsupported(system: System) -> str:
    """The name of this system, if it is not a server with a supported distribution."""
    if system.wsl:
        return "WSL: the GPU's driver belongs to Windows"
    if system.jetson:
        return f"{system.board}: its driver comes with JetPack"
    if system.board:
        return f"{system.board}: a single-board computer"
    if product := _product(system):
        return product
    if system.distribution not in SUPPORTED:
        parents = [name for name in system.like if name in SUPPORTED]
        own = "with packages of its own"
        return f"a distribution derived from {parents[0]}, {own}" if parents else ""
    if not system.pretty_name.lower().startswith(system.distribution):
        # Armbian and others keep their parent's ID.
        return f"derived from {system.distribution}, although it has its ID"
    return ""


def _product(system: System) -> str:
    """Another product that has the os-release of its parent: its kernel or its packages name it."""
    # A container has the kernel of its host.
    if not system.container and (system.proxmox or maker(system.kernel) is Maker.PROXMOX):
        return f"Proxmox VE (kernel {system.kernel}), a hypervisor with packages of its own"
    if system.dgx and not system.container:
        return f"DGX OS ({system.dgx}), with NVIDIA's own kernel and driver packages"
    for mark, name in PRODUCTS.items():
        if mark in system.kernel and not system.container:
            return f"{name} (kernel {system.kernel}), with packages of its own"
    return ""


@check("system.init", "systemd is the first process.")
def init(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.system.init == "systemd":
        return ok("systemd")
    actual = snapshot.system.init or "process 1 is not visible"
    return fail("systemd", actual, fix="use a host, a VM or a container that boots with systemd")


@check("system.python", "python3 is installed.")
def python(snapshot: Snapshot, settings: Settings) -> Verdict:
    version = installed_packages(snapshot.probes).get("python3")
    if version:
        return ok(version)
    return fail("python3", "not installed", fix="apt-get install python3")


@check("system.hostname", "The host's name resolves.")
def hostname(snapshot: Snapshot, settings: Settings) -> Verdict:
    name, address = snapshot.system.hostname, snapshot.hostname.address
    if address:
        return ok(f"{name} is {address}")
    return fail(
        f"{name} resolves", "it does not", fix=f"echo {quote(f'127.0.1.1 {name}')} >>/etc/hosts"
    )


@check("system.clock", "The clock is synchronised with a time server.")
def clock(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.system.container:
        return skip("the clock belongs to the host of this container")
    running = ", ".join(snapshot.clock.running)
    if snapshot.clock.synchronised:
        return ok(f"synchronised by {running}" if running else "synchronised")
    if running:
        return warn(
            "synchronised",
            f"{running} runs, but has not reached a time server",
            fix="timedatectl timesync-status; chronyc sources; is UDP port 123 open?",
        )
    return fail("synchronised", "no time service runs", fix=AGAIN)


@check(
    "system.reboot",
    "No installed update waits for a reboot, and the running kernel can load its modules.",
)
def reboot(snapshot: Snapshot, settings: Settings) -> Verdict:
    if kernel := snapshot.reboot.without_modules:
        return fail(
            "the modules of the running kernel",
            f"needed: {kernel} runs, and its modules are no longer on disk",
            evidence="what is not loaded yet cannot be loaded: iptables, overlay, bridges, nvidia",
            fix="reboot",
        )
    if snapshot.reboot.locked:
        return warn(
            "modules can be loaded",
            "kernel.modules_disabled is 1: what the engine, the firewall and the driver have not "
            "loaded yet, nothing loads before the next boot",
            evidence='"Operation not permitted" by modprobe',
            fix="grep -rn modules_disabled /etc/sysctl.conf /etc/sysctl.d /etc/systemd/system "
            "/etc/rc.local: remove it, then reboot",
        )
    marked = snapshot.paths.get(REBOOT_REQUIRED)
    if not marked:
        return ok("not needed")
    packages = ", ".join(snapshot.reboot.packages) or "not named"
    return warn("not needed", "needed", evidence=f"for: {packages}", fix="reboot")


@check(
    "system.updates",
    "Security updates are installed automatically, except NVIDIA's and Docker's packages.",
)
def updates(snapshot: Snapshot, settings: Settings) -> Verdict:
    expected = "security updates, without NVIDIA's and Docker's packages"
    if not settings.system_security_updates:
        if snapshot.paths.get(UPDATES_FILE):
            return fail("not configured by gpuhost", f"{UPDATES_FILE} exists", fix=AGAIN)
        return skip("system_security_updates is False")
    missing = _missing(snapshot)
    if missing:
        return fail(expected, "; ".join(missing), fix=AGAIN)
    if without := no_security_origin(snapshot):
        return fail(expected, f"none is installed: {without}", fix=ORIGINS_FIX)
    return ok("on", expected=expected)


def _missing(snapshot: Snapshot) -> list[str]:
    config = snapshot.updates
    unblocked = [pattern for pattern in BLOCKED if pattern not in config.blocked]
    says = {
        "unattended-upgrades is not installed": not config.installed,
        "package lists are not updated": not config.lists,
        "updates are not installed": not config.upgrades,
        f"not excluded: {', '.join(unblocked)}": bool(unblocked),
        f"stopped: {', '.join(config.stopped_timers)}": bool(config.stopped_timers),
        f"{UPDATES_FILE} was changed": _is_changed(snapshot),
    }
    return [words for words, is_so in says.items() if is_so]


def _is_changed(snapshot: Snapshot) -> bool:
    """Whether gpuhost's file has other content, such as an automatic reboot."""
    state = snapshot.paths.get(UPDATES_FILE)
    expected = sha256(updates_text().encode()).hexdigest()
    return state is not None and state.sha256 not in (None, expected)
