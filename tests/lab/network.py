"""The network of the lab: fixed addresses, so that known_hosts is still valid after a reboot."""

from __future__ import annotations

import ipaddress
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.engine import LABEL, Engine
from tests.lab.process import LabError, run
from tests.lab.state import locked

NAME = "gpuhost-lab"
ADDRESS = f"{LABEL}.address"
# Labs of every state folder share the network.
LOCKS = Path(tempfile.gettempdir())
# Outside the pools that engines use for their own networks, also those of the hosts.
CANDIDATES = tuple(f"10.{second}.77.0/24" for second in range(231, 251))
HOSTS = range(10, 240)


def _ensure(engine: Engine) -> ipaddress.IPv4Network:
    """Create the lab's network if it is missing, in a range that this machine does not use."""
    existing = _subnet(engine)
    if existing is not None:
        return existing
    in_use = {
        line.split()[0] for line in run(["ip", "-4", "route"], timeout=10).stdout.splitlines()
    }
    for candidate in CANDIDATES:
        if candidate in in_use:
            continue
        made = engine.run(
            "network", "create", "--label", f"{LABEL}=network", "--subnet", candidate,
            "--ip-range", f"{candidate.rpartition('.')[0]}.{HOSTS.stop}/28",
            "--opt", f"com.docker.network.driver.mtu={_mtu()}", NAME, check=False,
        )  # fmt: skip
        if made.returncode == 0:
            return ipaddress.IPv4Network(candidate)
    raise LabError(f"no free network for the lab among {CANDIDATES[0]} … {CANDIDATES[-1]}")


@contextmanager
def free_address(engine: Engine) -> Iterator[str]:
    """A free address; no host, not even a stopped one, has it. Use it before the block ends."""
    with locked("addresses", where=LOCKS):
        yield _free_address(engine, _ensure(engine))


@contextmanager
def addresses_reserved() -> Iterator[None]:
    """Reserve addresses: during this block no other lab of this machine gets one."""
    with locked("addresses", where=LOCKS):
        yield


def addresses(engine: Engine, *filters: str) -> list[str]:
    """The addresses in use, also those of stopped hosts.

    + filters: labels to look for
    """
    chosen = [part for label in filters for part in ("--filter", f"label={label}")]
    shown = f'{{{{.Label "{ADDRESS}"}}}}'
    listing = ("ps", "-a", "--filter", f"label={ADDRESS}", *chosen, "--format", shown)
    return engine.docker(*listing).split()


def _free_address(engine: Engine, network: ipaddress.IPv4Network) -> str:
    in_use = set(addresses(engine))
    for number in HOSTS:
        if str(network[number]) not in in_use:
            return str(network[number])
    raise LabError("no free address left in the lab's network: python -m tests.lab down")


def ensure(engine: Engine) -> None:
    """Create the lab's network if it is missing."""
    with locked("addresses", where=LOCKS):
        _ensure(engine)


def nameservers() -> str:
    """This machine's resolv.conf, without servers that only it can reach."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    kept = [line for line in lines if not re.match(r"nameserver\s+(127\.|::1)", line)]
    return "\n".join(kept) + "\n"


def _subnet(engine: Engine) -> ipaddress.IPv4Network | None:
    shown = engine.run(
        "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", NAME, check=False
    )
    return ipaddress.IPv4Network(shown.stdout.strip()) if shown.returncode == 0 else None


def _mtu() -> int:
    """The MTU of this machine's uplink."""
    for line in run(["ip", "-4", "route", "show", "default"], timeout=10).stdout.splitlines():
        device = re.search(r"\bdev (\S+)", line)
        if device:
            return int(Path(f"/sys/class/net/{device[1]}/mtu").read_text())
    return 1500


def remove(engine: Engine) -> None:
    """Remove the lab's network, unless a container uses it."""
    with locked("addresses", where=LOCKS):
        if not addresses(engine):
            engine.run("network", "rm", NAME, check=False)
