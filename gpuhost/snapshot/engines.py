"""Container engines by what runs: their processes, the units that hold these, their sockets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.engine_sockets import listening
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# Names as the kernel keeps them: 15 characters. conmon holds a container of podman or CRI-O.
PROGRAMS = (
    "dockerd", "containerd", "podman", "conmon", "crio", "cri-dockerd", "kubelet", "kubelite",
    "k3s", "k3s-server", "k3s-agent", "rke2", "k0s", "balenad", "balena-engine-d",
)  # fmt: skip
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
# ps needs ten times as long as grep to find a few processes by name.
PROCESSES = f"""found=$(grep -lxsE "{"|".join(PROGRAMS)}" /proc/[0-9]*/comm)
[ "$found" ] || exit 0
for comm in $found; do
    of=${{comm%/comm}}
    set -- "$@" "$comm" "$of/cgroup"
    namespaces="$namespaces $of/ns/pid $of/ns/net"
    lines="$lines $of/cmdline"
done
grep -asH "" "$@"
grep -asHoE "fail-swap-on(=[a-z]+)?|failSwapOn: *[a-z]+" $lines {KUBELET_CONFIG}
stat -c %N /proc/self/ns/pid /proc/self/ns/net $namespaces 2>/dev/null
exit 0"""
COMM = re.compile(r"^/proc/(\d+)/comm:(.+)$", re.MULTILINE)
# Of cgroup v2, or of systemd's own hierarchy in v1.
CGROUP = re.compile(r"^/proc/(\d+)/cgroup:\d+:(?:name=systemd)?:(/.*)$", re.MULTILINE)
UNIT = (".service", ".scope")
USERS = "user@"
# Whether kubelet starts on a host with swap: its flag goes before its file (its reference: by
# default it does not). k3s, RKE2, k0s and MicroK8s start theirs so that it does.
SWAP_FLAG = re.compile(r"^/proc/(\d+)/cmdline:fail-swap-on(?:=(\w+))?$", re.MULTILINE)
SWAP_SETTING = re.compile(rf"^{KUBELET_CONFIG}:failSwapOn: *(\w+)$", re.MULTILINE)
TOLERANT = ("k3s", "rke2", "k0s", "snap.microk8s.")
NAMESPACE = re.compile(r"^'/proc/(\w+)/ns/(pid|net)' -> '(.*)'$", re.MULTILINE)
REQUEST = Request(probes=(ProbeCommand("engines", f"sh -c {quote(PROCESSES)}", at_once=True),))


@dataclass(frozen=True, order=True)
class EngineProcess:
    """A process of a container engine.

    + unit: of systemd that holds it; "" without one
    + rootless: of a user, in a network of its own
    """

    program: str
    unit: str
    pid: int
    rootless: bool


@dataclass(frozen=True)
class Engines:
    """+ processes: of this host, not those inside its containers
    + sockets: on which an engine answers
    + refuses_swap: a kubelet that does not start where swap is on; "": there is none
    """

    processes: tuple[EngineProcess, ...]
    sockets: tuple[str, ...]
    refuses_swap: str = ""

    @classmethod
    def read(cls, probes: Probes) -> Engines:
        output = probes.output("engines")
        processes = tuple(sorted(_processes(output)))
        return cls(processes, listening(probes), _refuses_swap(output, processes))


def _processes(text: str) -> Iterator[EngineProcess]:
    namespaces = {(pid, kind): name for pid, kind, name in NAMESPACE.findall(text)}
    units = {pid: unit for pid, cgroup in CGROUP.findall(text) if (unit := _unit(cgroup))}

    def elsewhere(pid: str, kind: str) -> bool:
        own, its = namespaces.get(("self", kind)), namespaces.get((pid, kind))
        return own is not None and its is not None and own != its

    for pid, program in COMM.findall(text):
        if not elsewhere(pid, "pid"):
            unit = units.get(pid, "")
            rootless = unit.startswith(USERS) or elsewhere(pid, "net")
            yield EngineProcess(program, unit, int(pid), rootless)


def _refuses_swap(text: str, processes: Iterable[EngineProcess]) -> str:
    flags = {int(pid): value for pid, value in SWAP_FLAG.findall(text)}
    in_file = SWAP_SETTING.findall(text)
    for process in processes:
        if process.program != "kubelet" or process.unit.startswith(TOLERANT):
            continue
        value = flags.get(process.pid, in_file[-1] if in_file else "true")
        if value != "false":
            return f"kubelet of {process.unit}" if process.unit else "kubelet"
    return ""


def _unit(cgroup: str) -> str:
    """The unit of systemd; of what a user's own systemd started, that user's."""
    units = [part for part in cgroup.split("/") if part.endswith(UNIT) and part not in UNIT]
    users = [unit for unit in units if unit.startswith(USERS)]
    return users[0] if users else units[-1] if units else ""
