"""A lab: hosts that are booted together and removed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab import containers, engine, images, network, repository, state
from tests.lab.engine import LABEL, Engine
from tests.lab.hosts import LabHost, Snapshot, boot
from tests.lab.process import LabError, progress

# Of labs that end at the same time, the last one stops the engine.
REMOVAL = "removal"


@dataclass(frozen=True)
class HostSpec:
    """A host to boot.

    + name: its host name, in lower case
    + release: "bookworm" or "trixie"
    + card: a simulated card (tests.lab.cards), or None
    + snapshot: disks to start from; None: a blank host
    """

    name: str
    release: str = "bookworm"
    card: str | None = None
    snapshot: Snapshot | None = None


class Lab:
    """The hosts of one name on one engine.

    + name: labs of different names share an engine and its repository
    + owner: after the end of this process the hosts are removed; None: they stay until `down`
    """

    def __init__(self, name: str, owner: str | None = None) -> None:
        self.name = name
        self.owner = owner
        self.engine: Engine = engine.ensure()
        containers.remove_abandoned(self.engine)
        state.forget_abandoned()
        images.ensure(self.engine, *images.RELEASES)
        self.repository = repository.ensure(self.engine)
        self.hosts: dict[str, LabHost] = {}

    def boot(self, *specs: HostSpec) -> list[LabHost]:
        """Boot hosts, two at a time; an existing host of the same name is replaced."""
        progress(f"booting {', '.join(spec.name for spec in specs)}")
        with ThreadPoolExecutor(max_workers=2) as pool:
            booted = list(pool.map(self._boot, specs))
        self.hosts |= {host.name: host for host in booted}
        self.save()
        return booted

    def remove(self, name: str) -> None:
        """Destroy one host."""
        self.hosts.pop(name).destroy()
        self.save()

    @property
    def environment(self) -> dict[str, str]:
        """The environment for ``inventories/lab.py`` to read this lab."""
        return {"GPUHOST_LAB": self.name}

    def save(self) -> state.LabState:
        """Write the state file that the inventory reads."""
        kept = state.LabState(
            lab=self.name,
            engine=self.engine.socket,
            owner=self.owner,
            repository=self.repository,
            hosts=tuple(host.state for host in self.hosts.values()),
        )
        kept.save()
        return kept

    def _boot(self, spec: HostSpec) -> LabHost:
        return boot(
            self.engine,
            self.name,
            spec.name,
            spec.release,
            card=spec.card,
            snapshot=spec.snapshot,
            owner=self.owner,
        )


@contextmanager
def removed_on_failure(name: str) -> Iterator[None]:
    """Remove the lab if the block fails or is interrupted."""
    try:
        yield
    except BaseException:
        progress(f"cleaning up lab {name!r}")
        down(name)
        raise


def label_of(name: str) -> str:
    """The label of everything that belongs to a lab."""
    return f"{LABEL}={name}-{state.cache_id()}"


def remove_hosts(name: str) -> int:
    """Remove a lab's hosts, and keep what the next ones need; return how many."""
    with state.locked(REMOVAL):
        return _remove_hosts(name)


def _remove_hosts(name: str) -> int:
    carrier = engine.existing()
    state.path_of(name).unlink(missing_ok=True)
    return containers.remove_labelled(carrier, label_of(name)) if carrier else 0


def host(name: str, lab: str) -> LabHost:
    """A booted host by name; LabError lists the booted ones if it is unknown."""
    kept = state.load(lab)
    hosts = {each.name: each for each in kept.hosts} if kept else {}
    if kept is None or name not in hosts:
        raise LabError(f"no host {name!r} in lab {lab!r}; there is: {', '.join(hosts) or 'none'}")
    return LabHost(Engine(kept.engine), lab, hosts[name])


def down(lab: str) -> int:
    """Remove a lab, even after a crash, and what no lab needs any more; return the number of hosts.

    + lab: its name
    """
    with state.locked(REMOVAL):
        return _down(lab)


def _down(lab: str) -> int:
    carrier = engine.existing()
    if carrier is None:
        state.forget(lab)
        return 0
    removed = _remove_hosts(lab)
    containers.remove_abandoned(carrier)
    state.forget(lab)
    state.forget_abandoned()
    if not containers.any_host(carrier):
        repository.remove_servers(carrier)
        network.remove(carrier)
        engine.stop_private()
    return removed


def names_for(count: int, releases: Sequence[str]) -> list[tuple[str, str]]:
    """Names and releases for a number of hosts; the releases alternate."""
    turns = [divmod(number, len(releases)) for number in range(count)]
    return [(f"{releases[index]}-{turn + 1}", releases[index]) for turn, index in turns]
