"""Container engines on a host that gpuhost did not install."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import ENGINE_PACKAGES
from gpuhost.snapshot.engines import EngineProcess
from gpuhost.snapshot.units import CONTAINERD, ENGINE

# "docker": it shares docker0, Docker's chains and its socket with ours.
Kind = Literal["docker", "rootless", "podman", "kubernetes", "containerd"]
DOCKER_PROGRAMS = ("dockerd", "balenad", "balena-engine-d")
KUBERNETES = (
    "kubelet", "kubelite", "k3s", "k3s-server", "k3s-agent", "rke2", "k0s", "crio", "cri-dockerd",
)  # fmt: skip
PODMAN = ("podman", "conmon")


@dataclass(frozen=True)
class ForeignEngine:
    """An engine that gpuhost does not manage.

    + name: what shows it, for a person
    + unit: of systemd that holds it; "" if that is not known
    + pids: its processes; none if only a socket or a port shows it
    """

    kind: Kind
    name: str
    unit: str = ""
    pids: tuple[int, ...] = ()
    ports: tuple[str, ...] = ()

    def __str__(self) -> str:
        ports = f" (publishes {', '.join(self.ports)})" if self.ports else ""
        return f"{self.name}{ports}"

    @property
    def own_unit(self) -> str:
        """The unit, if it is the engine's own: a session or cron may hold it too."""
        is_own = self.unit.endswith(".service") and ("docker" in self.unit or "balena" in self.unit)
        return self.unit if is_own else ""

    @property
    def can_be_stopped(self) -> bool:
        return bool(self.own_unit or self.pids)


def foreign_engines(snapshot: Snapshot) -> tuple[ForeignEngine, ...]:
    """Every engine that a process, a socket or a published port shows, and that is not ours."""
    engines = [*_dockers(snapshot), *_others(snapshot.engines.processes, snapshot)]
    engines += _behind_sockets(snapshot, engines)
    ports = tuple(f"{port}/{protocol}" for port, protocol in snapshot.ports.proxied)
    if not ports:
        return tuple(engines)
    for place, engine in enumerate(engines):
        if engine.kind == "docker":
            engines[place] = ForeignEngine("docker", engine.name, engine.unit, engine.pids, ports)
            return tuple(engines)
    return (ForeignEngine("docker", "an engine behind docker-proxy", ports=ports), *engines)


def _dockers(snapshot: Snapshot) -> Iterator[ForeignEngine]:
    by_unit: dict[tuple[str, bool], list[EngineProcess]] = {}
    for process in snapshot.engines.processes:
        if process.program in DOCKER_PROGRAMS:
            by_unit.setdefault((process.unit, process.rootless), []).append(process)
    for (unit, rootless), processes in by_unit.items():
        # Without a control group the unit is not known: a running docker.service is enough.
        ours = unit == ENGINE or (not unit and snapshot.docker.service.active)
        if ours and not rootless:
            continue
        pids = tuple(process.pid for process in processes)
        program = processes[0].program
        if rootless:
            yield ForeignEngine("rootless", f"rootless {program} of {unit or 'a user'}", unit, pids)
        else:
            name = f"{program} of {unit}" if unit else program
            engine = ForeignEngine("docker", name, unit, pids)
            by_hand = f"{program}, pid {', '.join(map(str, pids))}, started by hand"
            yield engine if engine.own_unit else ForeignEngine("docker", by_hand, unit, pids)


def _others(processes: Iterable[EngineProcess], snapshot: Snapshot) -> Iterator[ForeignEngine]:
    found = list(processes)
    clusters = [process for process in found if process.program in KUBERNETES]
    taken = {process.unit for process in clusters}
    taken |= {process.unit for process in found if process.program in DOCKER_PROGRAMS}
    if clusters:
        programs = ", ".join(sorted({process.program for process in clusters}))
        yield ForeignEngine("kubernetes", f"Kubernetes ({programs})", clusters[0].unit)
    if not any(process.program == "crio" for process in found):
        podman = [process for process in found if process.program in PODMAN]
        if podman:
            programs = ", ".join(sorted({process.program for process in podman}))
            yield ForeignEngine("podman", f"podman ({programs} runs)", podman[0].unit)
    installed = any(name in snapshot.docker.packages for name in ENGINE_PACKAGES)
    if installed or snapshot.docker.service.active:
        taken.add(CONTAINERD)
    for unit in sorted({p.unit for p in found if p.program == "containerd"} - taken):
        if unit or not taken:
            yield ForeignEngine("containerd", f"containerd of {unit or 'no unit'}", unit)


def _behind_sockets(
    snapshot: Snapshot, engines: Iterable[ForeignEngine]
) -> Iterator[ForeignEngine]:
    """Engines of which only the socket is seen: systemd starts them on demand, or a relay."""
    kinds = {engine.kind for engine in engines}
    programs = {process.program for process in snapshot.engines.processes}
    waits = snapshot.docker.socket.active or snapshot.docker.service.active
    for path in snapshot.engines.sockets:
        socket = path.rpartition("/")[2].removesuffix(".sock")
        if socket == "podman":
            if "podman" not in kinds:
                kinds.add("podman")
                yield ForeignEngine("podman", f"podman ({path})")
        elif socket in ("docker", "balena-engine"):
            if not waits and not programs & set(DOCKER_PROGRAMS):
                yield ForeignEngine("docker", f"an engine behind {path}")
        elif not programs & {"containerd", *KUBERNETES}:
            yield ForeignEngine("containerd", f"an engine behind {path}")
