"""The host itself: distribution, architecture, kernel, host name, clock, and the user who reads."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.packages import database_complaint, installed_packages
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import read_units

# Every time service of Debian and Ubuntu.
TIME_SERVICES = (
    "systemd-timesyncd.service",
    "chrony.service",
    "ntp.service",
    "ntpsec.service",
    "openntpd.service",
    "ntpd-rs.service",
)
# The kernel's largest error in microseconds (NTP_PHASE_LIMIT): the clock is not synchronised.
# timedatectl uses the same number.
UNSYNCHRONISED = 16_000_000
OS_RELEASE, HOSTS = "/etc/os-release", "/etc/hosts"
FIRST_PROCESS, CONTAINER = "/proc/1/comm", "/run/systemd/container"
PROXMOX_PACKAGES = ("proxmox-ve", "pve-manager")
JETSON = "NVIDIA Jetson"
TEGRA = "/etc/nv_tegra_release"
# NVIDIA's own systems: Ubuntu with their kernel and drivers. The file has a serial number too.
DGX = "/etc/dgx-release"
DGX_LINES = "^DGX_(PRETTY_NAME|SWBUILD_VERSION|OTA_VERSION)="
# A virtual machine without ACPI, as qemu and Firecracker make them, has a device tree too.
VIRTUAL = ("linux,dummy-virt",)
BOARD_MODEL, BOARD_COMPATIBLE = "/proc/device-tree/model", "/proc/device-tree/compatible"
# adjtimex(2), by its number: the kernel's own value, in microseconds. timedatectl would start a
# service to get it; python3 costs four times as much as perl, which is essential on Debian.
CLOCK_ERROR = """$number = {x86_64 => 159, aarch64 => 171}->{$ARGV[0]} or exit 1;
$timex = "\\0" x 256;
syscall($number, $timex) >= 0 or exit 1;
print unpack("x24 q", $timex), "\\n\""""
UNRESOLVED = "unable to resolve host"
REQUEST = Request(
    files=(
        *(OS_RELEASE, HOSTS, FIRST_PROCESS, CONTAINER, TEGRA),
        *(BOARD_MODEL, BOARD_COMPATIBLE),
    ),
    packages=("python3", *PROXMOX_PACKAGES),
    units=TIME_SERVICES,
    probes=(
        ProbeCommand("identity", "id -u", at_once=True),
        ProbeCommand("sudo_user", "printenv SUDO_USER", at_once=True, absent=Probe(1)),
        # Why the collector has not become root (ELEVATED_SHELL).
        ProbeCommand("sudo_refusal", "printenv SUDO_REFUSAL", at_once=True, absent=Probe(1)),
        ProbeCommand("kernel", "uname -srmn", at_once=True),
        ProbeCommand(
            "dgx_release",
            f"grep -sE '{DGX_LINES}' {DGX}",
            only_if=f"[ -e {DGX} ]",
            at_once=True,
        ),
        ProbeCommand("clock", "date +%s", at_once=True),
        ProbeCommand("clock_error", f'perl -e {quote(CLOCK_ERROR)} "$(uname -m)"', at_once=True),
        ProbeCommand("resolved_hostname", 'getent hosts "$(uname -n)"', absent=Probe(2)),
    ),
)


@dataclass(frozen=True)
class System:
    """The host, and the user who reads it.

    + like: the distributions that this one is made from (ID_LIKE)
    + board: the model of a single-board computer; "": a server
    + init: the command of process 1; "": it could not be read
    + container: the kind of container that the host is ("lxc", "docker"); "": it is a machine
    + proxmox: packages of Proxmox VE are installed
    + dgx: the name and version of DGX OS; "": it is none
    + now: the host's clock, epoch seconds
    + root: the user is root
    + sudo: the user became root with sudo
    + sudo_refusal: sudo's words, if it did not
    """

    distribution: str
    version: str
    codename: str
    pretty_name: str
    like: tuple[str, ...]
    machine: str
    board: str
    kernel: str
    hostname: str
    init: str
    container: str
    proxmox: bool
    dgx: str
    now: int
    root: bool
    sudo: bool
    sudo_refusal: str = ""

    @property
    def wsl(self) -> bool:
        """Windows Subsystem for Linux."""
        return "microsoft" in self.kernel.lower()

    @property
    def jetson(self) -> bool:
        """JetPack brings its driver, its toolkit, and an nvidia-smi that knows few values."""
        return self.board.startswith(JETSON)

    @property
    def architecture(self) -> str:
        """The architecture in dpkg's words: amd64, arm64."""
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(self.machine, self.machine)

    @classmethod
    def read(cls, probes: Probes) -> System:
        release = _assignments(probes.file(OS_RELEASE) or "")
        if "ID" not in release:
            raise NotRead("/etc/os-release names no distribution")
        words = probes.output("kernel").split()
        if len(words) != 4:
            raise NotRead("uname did not print four words")
        _, hostname, kernel, machine = words
        is_known = "packages" in probes and not database_complaint(probes)
        installed = installed_packages(probes) if is_known else {}
        return cls(
            distribution=release["ID"],
            version=release.get("VERSION_ID", ""),
            codename=release.get("VERSION_CODENAME", ""),
            pretty_name=release.get("PRETTY_NAME", release["ID"]),
            like=tuple(release.get("ID_LIKE", "").split()),
            machine=machine,
            board=_board(probes),
            kernel=kernel,
            hostname=hostname,
            init=(probes.file(FIRST_PROCESS) or "").strip(),
            container=(probes.file(CONTAINER) or "").strip(),
            proxmox=any(name in installed for name in PROXMOX_PACKAGES),
            dgx=_dgx(probes),
            now=_seconds(probes.output("clock")),
            root=probes.output("identity").strip() == "0",
            sudo=bool(probes.output("sudo_user", allow=(0, 1)).strip()),
            sudo_refusal=_refusal_of_sudo(probes),
        )


def _refusal_of_sudo(probes: Probes) -> str:
    """sudo's last line: a lecture and complaints about the host's name go before it."""
    said = probes.get("sudo_refusal").out if "sudo_refusal" in probes else ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if UNRESOLVED not in line), "")


def _dgx(probes: Probes) -> str:
    """Of several updates (DGX_OTA_VERSION) the last one counts."""
    if "dgx_release" not in probes:
        return ""
    values = _assignments(probes.get("dgx_release").out)
    version = values.get("DGX_OTA_VERSION") or values.get("DGX_SWBUILD_VERSION") or ""
    return f"{values.get('DGX_PRETTY_NAME') or 'NVIDIA DGX'} {version}".strip()


@dataclass(frozen=True)
class Clock:
    """Whether the clock is synchronised, and the time services of the host.

    + running: the time services that run
    + installed: those that are installed
    """

    synchronised: bool
    running: tuple[str, ...]
    installed: tuple[str, ...]

    @classmethod
    def read(cls, probes: Probes) -> Clock:
        error = probes.output("clock_error").strip()
        if not error.isdecimal():
            raise NotRead("the kernel did not report the error of the clock")
        units = read_units(probes)
        known = [units[name] for name in TIME_SERVICES if name in units]
        return cls(
            synchronised=int(error) < UNSYNCHRONISED,
            running=tuple(unit.name for unit in known if unit.active),
            installed=tuple(unit.name for unit in known if unit.loaded),
        )


@dataclass(frozen=True)
class Hostname:
    """The address of the host's own name; "": the name does not resolve."""

    address: str
    hosts: str

    @classmethod
    def read(cls, probes: Probes) -> Hostname:
        # 2: not found. If the resolver does not answer, the probe times out: no address.
        probe = probes.get("resolved_hostname")
        if probe.rc not in (0, 2, None):
            raise NotRead(f"getent: {probe.complaint}")
        words = probe.out.split() if probe.rc == 0 else []
        return cls(words[0] if words else "", probes.file(HOSTS) or "")


def _board(probes: Probes) -> str:
    """Of machines, only single-board computers have a device tree."""
    model = (probes.file(BOARD_MODEL) or "").replace("\0", " ").strip()
    compatible = probes.file(BOARD_COMPATIBLE) or ""
    tegra = probes.file(TEGRA) is not None or "tegra" in compatible
    if tegra:
        return f"{JETSON} ({model})" if model else JETSON
    return "" if model in VIRTUAL else model


def _seconds(text: str) -> int:
    if not text.strip().isdecimal():
        raise NotRead("the host's clock could not be read")
    return int(text)


def _assignments(text: str) -> dict[str, str]:
    """KEY=value or KEY="value" lines, as os-release has them."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip().strip("\"'")
    return values
