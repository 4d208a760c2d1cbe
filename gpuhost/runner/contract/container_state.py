"""What a container was created and updated with, in one form for the record and for every reading.

The runner records it at the end of a verified release. The drift check sends this file to the host
as a program of its own: it compares there, and prints only the differences. So nothing here imports
anything of gpuhost. Values that may be secrets (environment, command, health check) are hashed.

What differs after a restart, a reboot or an upgrade of the engine is left out or normalised: ids,
addresses, times, the defaults that an engine fills in, and no value against an empty one.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# A record in an unknown form is not compared.
CONTAINER_FORMAT = 2
CONFIG_HASH = "config hash"
COMPOSE = "com.docker.compose"
PROJECT, SERVICE, ONE_OFF = f"{COMPOSE}.project", f"{COMPOSE}.service", f"{COMPOSE}.oneoff"
SHORT_ID = re.compile(r"[0-9a-f]{12}")
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# Of HostConfig, by the names of the engine's API.
HOST = {
    "memory": "Memory",
    "memory + swap": "MemorySwap",
    "memory reservation": "MemoryReservation",
    "memory swappiness": "MemorySwappiness",
    "OOM killer disabled": "OomKillDisable",
    "OOM score": "OomScoreAdj",
    "cpus": "NanoCpus",
    "cpu quota": "CpuQuota",
    "cpu period": "CpuPeriod",
    "cpu shares": "CpuShares",
    "cpuset": "CpusetCpus",
    "cpuset of memory": "CpusetMems",
    "cpu real-time period": "CpuRealtimePeriod",
    "cpu real-time runtime": "CpuRealtimeRuntime",
    "block I/O weight": "BlkioWeight",
    "block I/O weights of devices": "BlkioWeightDevice",
    "block I/O bytes read": "BlkioDeviceReadBps",
    "block I/O bytes written": "BlkioDeviceWriteBps",
    "block I/O reads": "BlkioDeviceReadIOps",
    "block I/O writes": "BlkioDeviceWriteIOps",
    "storage options": "StorageOpt",
    "pids": "PidsLimit",
    "shm": "ShmSize",
    "ulimits": "Ulimits",
    "sysctls": "Sysctls",
    "devices": "Devices",
    "device rules": "DeviceCgroupRules",
    "GPUs": "DeviceRequests",
    "runtime": "Runtime",
    "privileged": "Privileged",
    "capabilities added": "CapAdd",
    "capabilities dropped": "CapDrop",
    "security options": "SecurityOpt",
    "read-only root": "ReadonlyRootfs",
    "groups": "GroupAdd",
    "network mode": "NetworkMode",
    "pid mode": "PidMode",
    "ipc mode": "IpcMode",
    "uts mode": "UTSMode",
    "user namespace": "UsernsMode",
    "cgroup namespace": "CgroupnsMode",
    "cgroup parent": "CgroupParent",
    "init": "Init",
    "hosts": "ExtraHosts",
    "dns": "Dns",
    "dns search": "DnsSearch",
    "dns options": "DnsOptions",
    "ports": "PortBindings",
    "all ports published": "PublishAllPorts",
}
# `systempaths=unconfined` is stored as two empty lists; null is a privileged container. Engines add
# paths to their defaults, so only those are compared that all of them have.
PROTECTED = {
    "masked paths": (
        "MaskedPaths",
        ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"),
    ),
    "read-only paths": (
        "ReadonlyPaths",
        ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
    ),
}
# Fields that the records of each form do not have.
UNRECORDED: Mapping[int, frozenset[str]] = {
    1: frozenset(
        (
            *("cpu real-time period", "cpu real-time runtime", "block I/O weights of devices"),
            *("block I/O bytes read", "block I/O bytes written"),
            *("block I/O reads", "block I/O writes", "storage options"),
            *("cgroup namespace", "all ports published", "masked paths", "read-only paths"),
        )
    ),
    CONTAINER_FORMAT: frozenset(),
}
CONFIG = {"user": "User", "working directory": "WorkingDir", "stop signal": "StopSignal"}
HASHED = {"command": "Cmd", "entrypoint": "Entrypoint", "health check": "Healthcheck"}
# Values that mean the same as none.
DEFAULTS = {
    "memory swappiness": ("-1",),
    "pids": ("-1",),
    "runtime": ("runc", "io.containerd.runc.v2"),
    "cgroup namespace": ("private",),
    "ipc mode": ("private", "shareable"),
    "network mode": ("default", "bridge"),
    "stop signal": ("SIGTERM",),
}
MOST = 100
# Bytes of a file of gpuhost.
LARGEST = 16 << 20
LONGEST = 200


def made_with(value: Mapping[str, Any]) -> dict[str, str]:
    """A container, from the engine's own description; a field without a value is left out."""
    host, config = value.get("HostConfig") or {}, value.get("Config") or {}
    labels = config.get("Labels") or {}
    own = (str(value.get("Id"))[:12], str(value.get("Name")).lstrip("/"))
    mode, hostname = str(host.get("NetworkMode") or ""), str(config.get("Hostname") or "")
    # In another's network the engine sets that one's name at each start.
    is_default = SHORT_ID.fullmatch(hostname) or mode == "host" or mode.startswith("container:")
    fields = {
        "image": value.get("Image"),
        CONFIG_HASH: labels.get(f"{COMPOSE}.config-hash"),
        "hostname": "" if is_default else hostname,
        "restart": _restart(host.get("RestartPolicy") or {}),
        "logs": _hash(host.get("LogConfig")),
        **{name: host.get(key) for name, key in HOST.items()},
        **{name: _protected(host.get(key), paths) for name, (key, paths) in PROTECTED.items()},
        **{name: config.get(key) for name, key in CONFIG.items()},
        **{name: _hash(config.get(key)) for name, key in HASHED.items()},
        **dict(_environment(config.get("Env") or ())),
        **dict(_mounts(value.get("Mounts") or (), host.get("Tmpfs") or {})),
        **dict(_networks((value.get("NetworkSettings") or {}).get("Networks") or {}, own)),
    }
    texts = {name: _text(name, item) for name, item in fields.items()}
    return {name: text for name, text in texts.items() if text}


def _text(name: str, value: object) -> str:
    if not value or value in ("0",):
        return ""
    text = value if isinstance(value, str) else json.dumps(_without_empty(value), sort_keys=True)
    # Of another container, whose id changes with every release.
    if text.startswith("container:"):
        return "container"
    return "" if text in DEFAULTS.get(name, ()) else text


def _without_empty(value: Any) -> Any:
    """Engines differ in null, [] and absent."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _hash(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if value else ""


def _restart(policy: Mapping[str, Any]) -> str:
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount")
    return f"{name}:{most}" if most else "" if name == "no" else str(name)


def _protected(found: Any, expected: tuple[str, ...]) -> str:
    missing = [path for path in expected if path not in found] if isinstance(found, list) else ()
    return f"without {' '.join(missing)}" if missing else ""


def _environment(lines: Any) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = str(line).partition("=")
        # An empty variable is one too.
        yield f"env {name}", _hash(f"={value}")


def _mounts(mounts: Any, temporary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for mount in mounts:
        kind, name = mount.get("Type") or "bind", str(mount.get("Name") or "")
        source = name if kind == "volume" else str(mount.get("Source") or "")
        source = "" if ANONYMOUS.fullmatch(source) else source
        writable = "" if mount.get("RW") else "read-only"
        spread = str(mount.get("Propagation") or "")
        words = (kind, source, writable, "" if spread == "rprivate" else spread)
        yield f"mount {mount.get('Destination')}", " ".join(filter(None, words))
    for path, options in temporary.items():
        yield f"mount {path}", f"tmpfs {options}".strip()


def _networks(networks: Mapping[str, Any], own: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and fixed addresses; engines before 25 list the container's id among its names."""
    for name, network in networks.items():
        network = network or {}
        aliases = sorted({str(alias) for alias in network.get("Aliases") or ()} - {*own})
        fixed = _without_empty(network.get("IPAMConfig") or {})
        addresses = [f"{key}={fixed[key]}" for key in sorted(fixed)]
        yield f"network {name}", " ".join(("connected", *aliases, *addresses))


class RecordedContainers(NamedTuple):
    """+ services: service -> its containers, as `made_with` has them
    + unrecorded: fields that the record does not have
    """

    services: Mapping[str, Mapping[str, str]]
    unrecorded: frozenset[str]


def differences(
    was: Mapping[str, str], now: Mapping[str, str], unrecorded: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """Field -> its value then and now, "" for none.

    Compose's hash of the configuration is told only if nothing else differs.
    """
    names = sorted({*was, *now} - {CONFIG_HASH} - unrecorded)
    found = {
        name: (was.get(name, ""), now.get(name, ""))
        for name in names
        if was.get(name) != now.get(name)
    }
    hashes = was.get(CONFIG_HASH, ""), now.get(CONFIG_HASH, "")
    return found or ({CONFIG_HASH: hashes} if hashes[0] != hashes[1] else {})


def recorded_containers(current: Path) -> RecordedContainers | None:
    """The containers of a verified release; None: it has no record in a known form.

    + current: the directory of the release
    """
    try:
        kept = _load(current / "fingerprint.json")
        states = kept.get("containers") or {}
        services, unrecorded = states["services"], UNRECORDED[states["format"]]
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    return RecordedContainers(services, unrecorded) if isinstance(services, dict) else None


def _load(path: Path) -> Any:
    """Raises OSError or ValueError."""
    if not path.is_file():  # reading a pipe would never end
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        return json.loads(file.read(LARGEST))


def _project(current: Path) -> str:
    """ "": its plan is damaged, which is told elsewhere."""
    try:
        return str(_load(current / "plan.json")["project"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _engine(path: str) -> Any:
    """An answer of the engine's API; None: it has no such container. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect("/run/docker.sock")
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(None, 2)[1]
    if status == b"404":
        return None
    if status != b"200":
        raise ValueError(f"the engine answered {status.decode()}")
    return json.loads(body)


def _compare(home: Path, listed: list[dict[str, Any]]) -> dict[str, Any]:
    record = recorded_containers(home / "current")
    if record is None:
        return {"name": home.name, "kept": False, "differences": []}
    found: list[list[str]] = []
    unrecorded: set[str] = set()
    project = _project(home / "current")
    for labels, id in ((each["Labels"], each["Id"]) for each in listed):
        was = record.services.get(labels.get(SERVICE))
        if labels[PROJECT] != project or labels.get(ONE_OFF) == "True" or was is None:
            continue
        described = _engine(f"/containers/{id}/json")
        if described is not None:
            now = made_with(described)
            unrecorded |= record.unrecorded & {*now}
            for field, values in differences(was, now, record.unrecorded).items():
                words = (labels[SERVICE], field, *values)
                found.append([word[:LONGEST] for word in words])
    unique = [list(words) for words in sorted(set(map(tuple, found)))]
    return {
        "name": home.name,
        "kept": True,
        "differences": unique[:MOST],
        "unrecorded": sorted(unrecorded),
    }


def main(root: Path) -> None:
    homes = sorted(entry for entry in root.iterdir() if (entry / "current").is_symlink())
    listed = _engine("/containers/json?all=1") if homes else []
    ours = [each for each in listed if PROJECT in (each.get("Labels") or {})]
    print(json.dumps([_compare(home, ours) for home in homes]))


if __name__ == "__main__" and sys.argv[1:]:
    try:
        main(Path(sys.argv[1]))
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        sys.exit(f"the containers of apps: {error}")
